//! A server with plugins: how long it takes to start, and how much memory it has.

use std::error::Error;
use std::fs;
use std::time::Instant;

use lanyard_tests::guests;
use lanyard_tests::measured::say;
use lanyard_tests::site::Site;

use crate::loading::resident;

/// One binding each.
const BINDINGS: [(&str, &str, &str); 4] = [
    (
        "directory",
        "example-directory",
        "grants = [\"secrets\"]\nsettings = { name = \"ada\", password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk\" }",
    ),
    ("enrollment-approval", "example-enrollment-approval", ""),
    (
        "ra-approval",
        "challenge-approval",
        "settings = { validity_days = 90 }",
    ),
    ("event", "command-rules", "settings = { rules = [] }"),
];
const STARTS: usize = 5;

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let mut site = Site::temporary(&[])?;
    site.start_apns()?;
    site.start_server()?;
    let alone = resident(&server(&site)?)?;
    let mut policy = String::new();
    for (hook, package, further) in BINDINGS {
        let file = format!("{package}.wasm");
        fs::copy(guests::component(package), site.data().join(&file))?;
        policy += &format!(
            "[[binding]]\nhook = \"{hook}\"\nname = \"{package}\"\nplugin = \"{file}\"\n{further}\n"
        );
    }
    let document = site.data().join("policy.toml");
    fs::write(&document, policy)?;
    site.lanyard(&["policy", "apply", &document.display().to_string()])?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        site.kill_server();
        let began = Instant::now();
        site.start_server()?;
        starts.push(began.elapsed().as_millis());
    }
    starts.sort_unstable();
    let bound = resident(&server(&site)?)?;
    say(format_args!(
        "\n# A server with {} plugins, compiled before\nstart to listening: {} ms, median of {STARTS} ({starts:?}, looked at every 20 ms)\n\
         resident memory, idle: {:.1} MiB; before any plugin {:.1} MiB",
        BINDINGS.len(),
        starts[STARTS / 2],
        mebibytes(bound),
        mebibytes(alone)
    ));
    Ok(())
}

fn server(site: &Site) -> Result<String, Box<dyn Error>> {
    let id = site.server_id().ok_or("the server is not running")?;
    Ok(id.to_string())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
