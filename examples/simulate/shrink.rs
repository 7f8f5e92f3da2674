//! What a failure needs: all else is taken away from its schedule.

use crate::runner::Limits;
use crate::simulation::look;

type Part = fn(&mut Limits) -> &mut usize;

/// The parts of a schedule that may be fewer, those first that make it short.
const PARTS: [Part; 3] =
    [|limits| &mut limits.calls, |limits| &mut limits.happenings, |limits| &mut limits.faults];

/// The smallest limits that were found within which it still fails; `None` where it does not fail at all.
pub(crate) fn smallest(seed: u64) -> Option<Limits> {
    let fails = |limits: Limits| look(seed, limits, false).failure.is_some();
    let mut limits = Limits::ALL;
    if !fails(limits) {
        return None;
    }
    let calm = Limits { weather: false, ..limits };
    if fails(calm) {
        limits = calm;
    }
    loop {
        let before = limits;
        for part in PARTS {
            let most = *part(&mut limits);
            let fewer = |count| {
                let mut fewer = limits;
                *part(&mut fewer) = count;
                fewer
            };
            // Each of the first few, and then in steps of an eighth.
            let counts = std::iter::successors(Some(0), |count| Some(count + 1 + count / 8));
            let found = counts.take_while(|count| *count < most).map(fewer).find(|fewer| fails(*fewer));
            limits = found.unwrap_or(limits);
        }
        if limits == before {
            return Some(limits);
        }
    }
}

/// As arguments.
pub(crate) fn flags(limits: Limits) -> String {
    let Limits { calls, happenings, faults, weather } = limits;
    let calm = if weather { "" } else { " --calm" };
    format!("--calls {calls} --happenings {happenings} --faults {faults}{calm}")
}
