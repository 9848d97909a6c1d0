//! `cargo xtask bench scep`: what a certificate costs, from PKIOperation to the answer, on each database, beside the private-key operations
//! that it cannot do without as `openssl speed` measures them in the same run. The requests are signed beforehand.

mod primitives;
mod requests;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use lanyard_tests::database::{self, OnPostgres};
use lanyard_tests::measured::{Measured, Measuring, run, say};
use lanyard_tests::site::Site;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use primitives::Primitives;
use requests::Request;

const CONCURRENCY: [usize; 3] = [1, 16, 64];
/// Requests at each concurrency; each needs a person who signed in, and a key of its own.
const REQUESTS: usize = 400;

fn main() -> Result<(), Box<dyn Error>> {
    run(async {
        let primitives = Primitives::measure()?;
        say(format_args!(
            "# Private-key operations of one issuance\n{primitives}"
        ));
        measure("SQLite, durable", None, &primitives).await?;
        match database::on_measured_postgres()? {
            Some(database) => measure("PostgreSQL, durable", Some(database), &primitives).await,
            None => Ok(()),
        }
    })
}

async fn measure(
    name: &str,
    database: Option<OnPostgres>,
    primitives: &Primitives,
) -> Result<(), Box<dyn Error>> {
    let mut site = Site::temporary(&[])?;
    if let Some(database) = &database {
        site.set("LANYARD_DATABASE_URL", format!("\"{}\"", database.url()));
    }
    site.start_apns()?;
    site.start_server()?;
    let mut requests = requests::prepare(&site, CONCURRENCY.len() * REQUESTS).await?;
    say(format_args!(
        "\n# {name}: RSA-2048 keys of devices and of the RA, P-256 CA; server and devices on the same processors\n{}{:>20}",
        Measured::head(),
        "of its private keys"
    ));
    for concurrency in CONCURRENCY {
        let batch = requests.split_off(requests.len() - REQUESTS);
        let measured = send(&site, batch, concurrency).await?;
        let ratio = measured.each().as_secs_f64() / primitives.each().as_secs_f64();
        let line = measured.line("PKCSReq to certificate", concurrency);
        say(format_args!("{line}{ratio:>18.2} x"));
    }
    Ok(())
}

async fn send(
    site: &Site,
    mut requests: Vec<Request>,
    concurrency: usize,
) -> Result<Measured, String> {
    let each = requests.len() / concurrency;
    let mut clients = Vec::new();
    for _ in 0..concurrency {
        let client = site.client()?;
        // Its connection is there before the first request that counts.
        client
            .send(&requests::capabilities(site))
            .await
            .map_err(|error| error.to_string())?;
        clients.push((client, requests.split_off(requests.len() - each)));
    }
    let answered = Arc::new(Mutex::new(Vec::new()));
    let measuring = Measuring::begin(site)?;
    let mut speaking = JoinSet::new();
    for (client, requests) in clients {
        let answered = Arc::clone(&answered);
        speaking.spawn(async move {
            let mut times = Vec::new();
            for request in requests {
                let began = Instant::now();
                let answer = client.send(&request.call).await;
                times.push(began.elapsed());
                let answer = answer.map_err(|error| error.to_string())?;
                answered.lock().await.push((request, answer));
            }
            Ok(times)
        });
    }
    let measured = measuring.finish(speaking).await?;
    // Not before: opening an answer is work for the processors that are measured.
    for (request, answer) in answered.lock().await.iter() {
        request.check(answer)?;
    }
    Ok(measured)
}
