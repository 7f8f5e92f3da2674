//! The task of one broker: gathers requests, keeps them in flight, settles what comes back.
//!
//! Ready work is queued, never searched for: what a wake-up costs does not grow with the number of partitions.
//! A broker without work waits without a timer.

mod asking;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::time::Instant;

use super::broker::Broker;
use super::in_flight::InFlight;
use super::partition::Partition;
use super::request::{Answered, ProducerBatch, Request};
use super::settle::settle;
use super::throttle::{MaySend, circuit_open, may_send};
use super::timers::Timers;
use crate::accumulator::{Policy, Queue, Readiness, Take};
use crate::clock::{earliest, if_any, later, until};
use crate::config::OpenCircuit;
use crate::core::Core;
use crate::engine::NodeId;
use crate::error::Result;
use crate::record::{ProducerId, REQUEST_OVERHEAD, bytes_in_request};

/// Serves `broker` until the producer stops.
pub(super) async fn run(core: Arc<Core>, broker: &Arc<Broker>) {
    let partitions = core.metadata.partitions_of(broker);
    // A task before this one may have ended with its runtime, and with it its timers and its probe.
    partitions.iter().for_each(|partition| partition.queue(Queue::disarm));
    broker.breaker().probe_abandoned();
    let mut task = BrokerTask {
        ready: VecDeque::new(),
        inbox: Vec::new(),
        landed: Vec::new(),
        core,
        broker: broker.clone(),
        lingering: Timers::default(),
        delayed: Timers::default(),
        expiring: Timers::default(),
        encoding: FuturesOrdered::new(),
        in_flight: InFlight::new(),
        asking: None,
        probing: None,
        pause: None,
    };
    partitions.into_iter().for_each(|partition| task.receive(partition));
    task.serve().await;
}

type Asking = Pin<Box<dyn Future<Output = Result<ProducerId>> + Send>>;
type Probing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// While a probe is out its end wakes the task; this is only the longest that anything sleeps meanwhile.
const PROBE_WAIT: Duration = Duration::from_millis(50);
/// Shortest pause between two turns that only time brings about: whatever is due and still cannot be done must not keep
/// the task running.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

struct BrokerTask {
    core: Arc<Core>,
    broker: Arc<Broker>,
    ready: VecDeque<Arc<Partition>>,
    /// Empty: room for partitions that come in.
    inbox: Vec<Arc<Partition>>,
    /// Empty: room for the partitions of the request that was answered last.
    landed: Vec<Arc<Partition>>,
    lingering: Timers,
    delayed: Timers,
    expiring: Timers,
    /// Requests that are being encoded aside, in the order in which they will leave.
    encoding: FuturesOrdered<Pin<Box<dyn Future<Output = Option<Request>> + Send>>>,
    in_flight: InFlight<Answered>,
    /// A producer id that is being fetched, and the partitions that wait for it.
    asking: Option<(Asking, Vec<Arc<Partition>>)>,
    /// A probe of the circuit breaker.
    probing: Option<Probing>,
    /// Nothing is sent before this time: the broker throttles, a limiter or the breaker holds back.
    pause: Option<Instant>,
}

impl BrokerTask {
    async fn serve(&mut self) {
        loop {
            if self.core.life.is_stopped() {
                return;
            }
            self.broker.turn();
            self.collect();
            let now = Instant::now();
            self.expire(now);
            self.fill(now);
            self.rest();
            let alarm = self.alarm().map(|at| at.max(now + SHORTEST_PAUSE));
            tokio::select! {
                biased;
                landed = self.in_flight.next() => self.land(landed),
                Some(encoded) = self.encoding.next() => self.depart(encoded),
                id = if_any(self.asking.as_mut().map(|(asking, _)| asking)) => self.id_fetched(&id),
                probed = if_any(self.probing.as_mut()) => self.probed(&probed),
                () = self.broker.woken() => {}
                () = until(alarm) => {}
            }
            self.report_in_flight();
        }
    }

    /// Receives the partitions that came in.
    fn collect(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.broker.swap_inbox(&mut inbox);
        inbox.drain(..).for_each(|partition| self.receive(partition));
        self.inbox = inbox;
    }

    fn report_in_flight(&self) {
        let requests = self.requests();
        if self.broker.in_flight() != requests {
            self.broker.set_in_flight(requests);
            if let Some(node) = self.broker.node {
                self.core.stats.in_flight(|| self.core.engine.name_of(node), requests);
            }
        }
    }

    /// Requests on their way or about to be.
    fn requests(&self) -> usize {
        self.in_flight.len() + self.encoding.len()
    }

    fn has_slot(&self) -> bool {
        self.requests() < self.core.config.bulkhead.max_in_flight
    }

    /// Starts as many requests as may be started.
    fn fill(&mut self, now: Instant) {
        let Some(node) = self.broker.node else {
            // Without a leader there is nothing to send to; the partitions' expiries are kept in mind.
            if !self.ready.is_empty() {
                self.core.metadata.refresh_soon(&self.core);
                self.ready.clear();
            }
            return;
        };
        while self.has_slot() {
            match may_send(&self.core, &self.broker, now) {
                MaySend::Now => self.pause = None,
                MaySend::Until(at) => {
                    self.pause = Some(at);
                    break;
                }
                MaySend::Probe => {
                    self.probe(node);
                    self.pause = None;
                    break;
                }
                MaySend::Open(left) => {
                    self.circuit_is_open(node, left, now);
                    break;
                }
            }
            let batches = self.gather(node, now);
            if batches.is_empty() {
                break;
            }
            self.send(batches, now);
        }
    }

    /// `left`: until the breaker lets its next probe through.
    fn circuit_is_open(&mut self, node: NodeId, left: Option<Duration>, now: Instant) {
        // Nothing is sent that would show that another broker leads by now.
        self.core.metadata.refresh_soon(&self.core);
        if self.core.config.circuit_breaker.when_open == OpenCircuit::Wait {
            // A probe is on its way, or its time has not come.
            self.pause = Some(later(now, left.unwrap_or(PROBE_WAIT).max(PROBE_WAIT)));
            return;
        }
        self.pause = None;
        self.core
            .fail_broker(&self.broker, &circuit_open(&self.broker, &self.core.engine.name_of(node), left));
        // Nothing waits any more; what is in flight comes back by itself.
        self.ready.clear();
        self.lingering = Timers::default();
        self.delayed = Timers::default();
    }

    /// Takes what may go now, one batch of each partition, up to the size of a request.
    fn gather(&mut self, node: NodeId, now: Instant) -> Vec<ProducerBatch> {
        if self.ready.is_empty() && self.lingering.next().is_none() && self.delayed.next().is_none() {
            return Vec::new();
        }
        let idle = self.requests() == 0;
        let policy = self.policy(node);
        while let Some(partition) = self.delayed.pop_due(now) {
            self.ready.push_back(partition);
        }
        while let Some(partition) = if idle { self.lingering.pop() } else { self.lingering.pop_due(now) } {
            self.ready.push_back(partition);
        }
        let request = self.core.next_request();
        let mut room = self.core.config.batch.max_request_bytes.saturating_sub(REQUEST_OVERHEAD);
        let mut batches = Vec::new();
        let mut again = Vec::new();
        while let Some(partition) = self.ready.pop_front() {
            if !self.is_mine(&partition) {
                continue;
            }
            if !partition.enter(request) {
                again.push(partition);
                continue;
            }
            // A batch alone in its request may always go: validation saw to its size.
            let space = if batches.is_empty() { usize::MAX } else { room };
            // Before the batch is taken: one that was numbered for a topic is never sent to the one that takes its place.
            let topic_id = partition.topic_id();
            let mut taken = partition.take(now, idle, space, &policy);
            if let Some(Take::NeedsId(spent)) = taken {
                if let Some(id) = self.core.producer_id.current(spent) {
                    partition.queue(|queue| queue.adopt(id));
                    taken = partition.take(now, idle, space, &policy);
                }
            }
            match taken {
                None => {
                    again.push(partition);
                    break;
                }
                Some(Take::Batch(batch)) => {
                    let bytes = partition.queue(|queue| queue.expected_bytes(&batch));
                    room = room.saturating_sub(bytes_in_request(bytes, &partition.topic));
                    again.push(partition.clone());
                    batches.push(ProducerBatch { partition, batch, topic_id, encoded: None });
                }
                Some(Take::NotYet(readiness)) => self.put_off(partition, readiness),
                Some(Take::NeedsId(spent)) => self.ask_id(partition, spent),
            }
        }
        for partition in again {
            let readiness = partition.queue(|queue| queue.readiness(now, &policy));
            self.put_off(partition, readiness);
        }
        // Batches of one topic stand together in a request.
        batches.sort_unstable_by(|one, other| {
            let (one, other) = (&one.partition, &other.partition);
            (&one.topic, one.index).cmp(&(&other.topic, other.index))
        });
        batches
    }

    fn policy(&self, node: NodeId) -> Policy {
        let mut policy = self.core.policy.clone();
        if policy.idempotent {
            policy.max_in_flight = policy.max_in_flight.min(self.core.engine.most_in_flight(node));
        }
        policy
    }

    fn is_mine(&self, partition: &Arc<Partition>) -> bool {
        let broker = partition.broker();
        if Arc::ptr_eq(&broker, &self.broker) {
            return true;
        }
        broker.schedule(&self.core, partition.clone());
        false
    }

    /// Queues a partition for the time at which it has to be looked at again.
    fn put_off(&mut self, partition: Arc<Partition>, readiness: Readiness) {
        self.arm(&partition);
        match readiness {
            // A partition that is muted is looked at again when its batch lands.
            Readiness::Empty | Readiness::Muted => {}
            Readiness::Now => self.ready.push_back(partition),
            Readiness::LingersUntil(at) => self.lingering.push(at, partition),
            Readiness::RetryAt(at) => self.delayed.push(at, partition),
        }
    }

    /// Queues a partition that has to be looked at, now or as soon as something may be sent.
    ///
    /// Its messages' deadlines are kept in mind from here on, and one that has moved is passed on, whatever holds this
    /// broker back.
    fn receive(&mut self, partition: Arc<Partition>) {
        if self.is_mine(&partition) {
            self.arm(&partition);
            // What comes into an empty queue makes it come in again.
            if partition.queue(|queue| queue.waits()) {
                self.ready.push_back(partition);
            }
        }
    }

    fn arm(&mut self, partition: &Arc<Partition>) {
        if let Some(at) = partition.queue(Queue::alarm) {
            self.expiring.push(at, partition.clone());
        }
    }

    fn send(&mut self, batches: Vec<ProducerBatch>, now: Instant) {
        let size = || {
            let sizes = batches.iter().map(|b| (b.batch.records.len(), b.batch.records.wire_bytes()));
            sizes.fold((0, 0), |(records, bytes), (more, also)| (records + more, bytes + also))
        };
        self.core.pacing.charge(size, now);
        let request = Request::new(self.core.clone(), batches);
        match self.core.policy.encodes_first {
            false => self.depart(Some(request)),
            // Those before it leave first.
            true if request.is_slow() || !self.encoding.is_empty() => {
                self.encoding.push_back(Box::pin(request.encoded_aside()));
            }
            true => self.depart(Some(request.encoded())),
        }
        self.report_in_flight();
    }

    fn depart(&mut self, request: Option<Request>) {
        let mut recalled = Vec::new();
        let request = request.and_then(|request| request.depart(&mut recalled));
        if let (Some(request), Some(node)) = (request, self.broker.node) {
            self.in_flight.push(request.attempt(node, self.broker.clone()));
        }
        recalled.into_iter().for_each(|partition| self.receive(partition));
    }

    fn land(&mut self, landed: Answered) {
        let mut touched = std::mem::take(&mut self.landed);
        let now = Instant::now();
        let throttle = settle(&self.core, &self.broker, landed, now, &mut touched);
        self.core.stats.levels(self.core.buffer.used(), || self.core.metadata.metadata_age());
        touched.drain(..).for_each(|partition| self.receive(partition));
        self.landed = touched;
        if !throttle.is_zero() {
            self.broker.pause(later(now, throttle));
        }
        self.core.metadata.refresh_if_old(&self.core, now);
    }

    /// Fails messages whose time is over.
    fn expire(&mut self, now: Instant) {
        while let Some(partition) = self.expiring.pop_due(now) {
            if !self.is_mine(&partition) {
                partition.queue(Queue::disarm);
                continue;
            }
            let error = self.core.expired(&partition, now);
            self.core.settle(&partition, &error, |queue, settlement| queue.expire(now, &error, settlement));
            self.arm(&partition);
        }
    }

    /// Leaves no timer behind that nothing waits for: an idle producer is not woken, and one that waits for an answer
    /// alone does not pay for the deadline of what has left.
    fn rest(&mut self) {
        self.expiring.refresh(|partition| {
            partition.queue(Queue::disarm);
            partition.queue(Queue::alarm)
        });
    }

    fn alarm(&self) -> Option<Instant> {
        let slot_free = self.has_slot();
        let sendable = match self.pause {
            Some(at) => Some(at),
            None if slot_free => earliest(self.lingering.next(), self.delayed.next()),
            None => None,
        };
        earliest(sendable, self.expiring.next())
    }
}
