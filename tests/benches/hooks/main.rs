//! `cargo xtask bench hooks`: what it costs to put a question to a plugin, beside a native implementation of the same trait and a webhook on
//! loopback that answer it in the same way; what others notice of plugins that misbehave; what loading and keeping plugins costs; and a
//! trial over 10,000 recorded decisions. All of it in one run, so that the ratios mean something on a machine that others use too.

mod hostile;
mod latency;
mod loading;
mod question;
mod rival;
mod server;
mod shadow;
mod statistics;

use std::error::Error;

use lanyard_tests::measured::run;

fn main() -> Result<(), Box<dyn Error>> {
    run(async {
        latency::measure().await?;
        hostile::measure().await?;
        loading::measure().await?;
        server::measure().await?;
        shadow::measure().await
    })
}
