//! A directory plugin with one person in it, and two names that misbehave. It proves that the hook's contract fits a real
//! Rust component; it is **not** an example to start from.
//!
//! | user name | what happens |
//! |---|---|
//! | `ada` | her password is checked against a hash by the host |
//! | `trap` | the plugin panics |
//! | `spin` | the plugin loops for ever |
//! | `sleep` | the plugin sleeps for an hour |
//! | `deep` | the plugin calls itself for ever |
//! | `hoard` | the plugin asks for a gibibyte |
//! | `grow` | the plugin asks for a mebibyte for ever |
//! | `flood` | the plugin logs for ever |
//! | `guess` | the plugin verifies the password against costly hashes for ever |
//! | `away` | the plugin says that it cannot tell |
//! | `code` | the plugin asks for a one-time code, which is `correct horse`, too |
//! | `elsewhere` | the plugin sends the browser to another page, which comes back with that code |
//! | anything else | the plugin abstains |

use std::hint::black_box;
use std::time::Duration;

use lanyard_sdk::{
    Attribute, Directory, Field, FieldKind, Form, Inquiry, NoSettings, Person, Plugin, Reason,
    Redirection, Resumption, Secret, SignIn, Standing, Step, Unavailable, log,
};

/// Argon2id of `correct horse`: the plugin holds the hash and never sees a password.
const ADAS_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";

/// Argon2id at the most that the host computes: 64 MiB, sixteen passes.
const COSTLY: &str = "$argon2id$v=19$m=65536,t=16,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";

/// What stays between two steps.
const STATE: &[u8] = b"waits for a code";

struct OnePerson;

impl Plugin for OnePerson {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Directory for OnePerson {
    fn begin(&self, request: SignIn, password: &Secret) -> Result<Step, Unavailable> {
        Ok(match request.user_name.as_str() {
            "ada" if password.verify(ADAS_PASSWORD) => Step::Authenticated(ada()),
            "ada" => {
                log::info("wrong password for ada");
                Reason::new("wrong-password", "The name or the password is wrong.").deny()
            }
            "trap" => panic!("asked to trap"),
            "spin" => spin(),
            "deep" => deep(black_box(1)),
            "hoard" => hoard(1 << 30),
            "grow" => loop {
                hoard(1 << 20);
            },
            "flood" => loop {
                log::info("again");
            },
            "guess" => loop {
                black_box(password.verify(COSTLY));
            },
            "sleep" => {
                std::thread::sleep(Duration::from_secs(3600));
                Step::Abstain
            }
            "code" => Step::Ask(Form {
                fields: vec![Field {
                    name: "code".to_owned(),
                    label: "The <code> that we sent you".to_owned(),
                    kind: FieldKind::OneTimeCode,
                }],
                state: STATE.to_vec(),
            }),
            "elsewhere" => Step::Redirect(Redirection {
                url: "https://id.example.com/authorize?client=lanyard&state=1".to_owned(),
                state: STATE.to_vec(),
            }),
            "away" => return Err(Unavailable("the database is away".to_owned())),
            _ => Step::Abstain,
        })
    }

    fn resume(&self, request: Resumption) -> Result<Step, Unavailable> {
        let code = request.input.iter().find(|input| input.name == "code");
        let is_right = code.is_some_and(|code| code.value.verify(ADAS_PASSWORD));
        Ok(if request.state == STATE && is_right {
            Step::Authenticated(ada())
        } else {
            Reason::new("wrong-code", "The code is wrong.").deny()
        })
    }

    fn lookup(&self, request: Inquiry) -> Result<Standing, Unavailable> {
        Ok(match request.person_id.as_str() {
            "ada" => Standing::Active(ada()),
            _ => Standing::Unknown,
        })
    }
}

fn ada() -> Person {
    Person {
        id: "ada".to_owned(),
        display_name: "Ada Lovelace".to_owned(),
        attributes: vec![Attribute {
            name: "groups".to_owned(),
            values: vec!["staff".to_owned(), "engines".to_owned()],
        }],
    }
}

fn deep(depth: u64) -> Step {
    if depth == black_box(u64::MAX) {
        return Step::Abstain;
    }
    black_box(deep(black_box(depth + 1)))
}

fn hoard(bytes: usize) -> Step {
    std::mem::forget(black_box(vec![1_u8; bytes]));
    Step::Abstain
}

fn spin() -> Step {
    let mut turns = 0_u64;
    while black_box(true) {
        turns = black_box(turns.wrapping_add(1));
    }
    Step::Abstain
}

lanyard_sdk::export!(OnePerson: directory);
