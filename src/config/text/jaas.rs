//! `sasl.jaas.config`: a login module, a flag, options, a semicolon.

use zeroize::Zeroizing;

use crate::config::Secret;

/// What a JAAS line says of a login.
pub(super) enum Login {
    Password(Password),
    /// Options of a login by a token.
    #[cfg(any(feature = "aws-msk-iam", feature = "oidc"))]
    Token(Vec<(String, Secret)>),
}

/// Name and password.
pub(super) struct Password {
    pub(super) scram: bool,
    pub(super) username: String,
    pub(super) password: Secret,
}

const EXPECTED: &str = "expected `org.apache.kafka.common.security.plain.PlainLoginModule required username=\"…\" \
                        password=\"…\";` or scram.ScramLoginModule in its place";

/// Reads one line. What is wrong is said without any of its text, which may be a part of the password.
pub(super) fn parse(text: &str) -> Result<Login, String> {
    let mut words = Words(text.chars().peekable());
    let module = words.next().ok_or(EXPECTED)?;
    let scram = match module.as_str() {
        "org.apache.kafka.common.security.plain.PlainLoginModule" => false,
        "org.apache.kafka.common.security.scram.ScramLoginModule" => true,
        #[cfg(feature = "aws-msk-iam")]
        MSK_IAM => return options(words).map(Login::Token),
        #[cfg(not(feature = "aws-msk-iam"))]
        MSK_IAM => return Err(super::mechanism::NEEDS_MSK_IAM.into()),
        #[cfg(any(feature = "aws-msk-iam", feature = "oidc"))]
        OAUTHBEARER => return options(words).map(Login::Token),
        #[cfg(not(any(feature = "aws-msk-iam", feature = "oidc")))]
        OAUTHBEARER => return Err(super::oidc::NEEDS_OIDC.into()),
        _ => return Err(format!("the login module is not supported: {EXPECTED}")),
    };
    let (mut username, mut password) = (None, None);
    for (name, value) in options(words)? {
        match name.as_str() {
            "username" => username = Some(value.expose().to_owned()),
            "password" => password = Some(value),
            "tokenauth" if value.expose().eq_ignore_ascii_case("false") => {}
            "tokenauth" => {
                return Err("tokenauth=true is not supported: log in with a user and password, not with a delegation \
                            token"
                    .into());
            }
            _ => return Err(format!("has an option other than username and password: {EXPECTED}")),
        }
    }
    let username = username.ok_or("has no username")?;
    Ok(Login::Password(Password { scram, username, password: password.ok_or("has no password")? }))
}

const MSK_IAM: &str = "software.amazon.msk.auth.iam.IAMLoginModule";
const OAUTHBEARER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";

/// The flag and the options after the name of a module.
fn options(mut words: Words<'_>) -> Result<Vec<(String, Secret)>, String> {
    if !words.next().is_some_and(|flag| flag.eq_ignore_ascii_case("required")) {
        return Err(EXPECTED.into());
    }
    let mut options = Vec::new();
    loop {
        let word = words.next().ok_or("the closing semicolon is missing")?;
        if word.as_str() == ";" {
            break;
        }
        if words.next().is_none_or(|equals| equals.as_str() != "=") {
            return Err(EXPECTED.into());
        }
        let value = words.next().ok_or(EXPECTED)?;
        options.push((word.as_str().to_owned(), Secret::from(value.as_str())));
    }
    match words.0.any(|c| !c.is_whitespace()) {
        true => Err("has more than one login module".into()),
        false => Ok(options),
    }
}

/// The words of Java's `StreamTokenizer`, as Kafka's `JaasConfig` sets it up.
struct Words<'a>(std::iter::Peekable<std::str::Chars<'a>>);

impl Iterator for Words<'_> {
    type Item = Zeroizing<String>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
        let first = self.0.next()?;
        let mut word = Zeroizing::new(String::new());
        match first {
            '"' | '\'' => loop {
                match self.0.next()? {
                    c if c == first => return Some(word),
                    '\n' | '\r' => return None,
                    '\\' => word.push(self.escaped()?),
                    c => word.push(c),
                }
            },
            ';' | '=' => word.push(first),
            _ => {
                word.push(first);
                while let Some(c) =
                    self.0.next_if(|c| !c.is_whitespace() && !matches!(c, ';' | '=' | '"' | '\''))
                {
                    word.push(c);
                }
            }
        }
        Some(word)
    }
}

impl Words<'_> {
    /// C's escapes, octal numbers among them.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            first @ '0'..='7' => {
                let mut code = u32::from(first) - 48;
                for _ in 0..if first <= '3' { 2 } else { 1 } {
                    let Some(digit) = self.0.next_if(|c| matches!(c, '0'..='7')) else { break };
                    code = code * 8 + u32::from(digit) - 48;
                }
                char::from_u32(code)?
            }
            c => c,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

    #[test]
    fn name_and_password_are_found_however_they_are_quoted() {
        for (options, username, password) in [
            (r#" required username="alice" password="s3cret";"#, "alice", "s3cret"),
            ("\n  required\n  password='a \"b\"; c=d'\n  username=alice ;\n", "alice", "a \"b\"; c=d"),
            (r#" required username="alice" password="s3cret" tokenauth="false";"#, "alice", "s3cret"),
            (r#" REQUIRED username = "a\"b" password="c\\d\te\1012";"#, "a\"b", "c\\d\teA2"),
        ] {
            let login = read_password(&format!("{PLAIN}{options}"));
            assert_eq!((login.username.as_str(), login.password.expose()), (username, password));
            assert!(!login.scram);
        }
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required username=a password=b;";
        assert!(read_password(scram).scram);
    }

    fn read_password(line: &str) -> Password {
        match parse(line).unwrap() {
            Login::Password(password) => password,
            #[cfg(any(feature = "aws-msk-iam", feature = "oidc"))]
            Login::Token(_) => panic!("a token"),
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (line, expected) in [
            (String::new(), "expected"),
            (format!("{PLAIN} required username=\"a\" password=\"hunter2\""), "semicolon"),
            (format!("{PLAIN} required username=\"a\" password=hunter2 hunter2=x;"), "option other"),
            (format!("{PLAIN} required username=\"a\" password=\"hunter2;"), "expected"),
            (format!("{PLAIN} required password=\"hunter2\";"), "no username"),
            (format!("{PLAIN} required username=\"hunter2\";"), "no password"),
            (format!("{PLAIN} optional username=\"a\" password=\"hunter2\";"), "required"),
            (format!("{PLAIN} required username=\"a\" password=\"hunter2\"; other;"), "more than one"),
            (format!("{PLAIN} required username=a password=hunter2 tokenauth=true;"), "delegation token"),
            ("hunter2".into(), "not supported"),
            #[cfg(not(any(feature = "aws-msk-iam", feature = "oidc")))]
            (format!("{OAUTHBEARER} required;"), "the feature oidc"),
            #[cfg(not(feature = "aws-msk-iam"))]
            (format!("{MSK_IAM} required;"), "need the feature aws-msk-iam"),
            (format!("{OAUTHBEARER} required hunter2;"), ""),
        ] {
            let problem = parse(&line).err().unwrap();
            assert!(problem.contains(expected), "{line}: {problem}");
            assert!(!problem.contains("hunter2"), "{line}: {problem}");
        }
    }
}
