//! Requests for certificates, signed and not yet sent.

use std::sync::Arc;
use std::time::SystemTime;

use lanyard_device::enroll::Credentials;
use lanyard_device::http::{Answer, Call, Client};
use lanyard_pki::{Name, NameAttribute, PrivateKey};
use lanyard_scep::client::{Answer as Decision, Authorities, Enrollment};
use lanyard_tests::site::{Site, USER};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Devices that sign in at the same time.
const TOGETHER: usize = 8;
const PASSWORD: &str = "correct horse battery";
const MESSAGE: &str = "application/x-pki-message";

/// One that waits to be sent.
pub(crate) struct Request {
    enrollment: Enrollment<'static>,
    pub(crate) call: Call,
}

impl Request {
    /// That its answer has the certificate.
    pub(crate) fn check(&self, answer: &Answer) -> Result<(), String> {
        let received = self.enrollment.receive(&answer.body);
        match received.map_err(|error| format!("status {}: {error}", answer.status))? {
            Decision::Issued(_) => Ok(()),
            other => Err(format!("no certificate: {other:?}")),
        }
    }
}

/// Brings so many devices to where they ask for their interim certificate.
pub(crate) async fn prepare(site: &Site, count: usize) -> Result<Vec<Request>, String> {
    site.add_user(PASSWORD)?;
    let link: Arc<str> = site.url("/enroll").into();
    let places = Arc::new(Semaphore::new(TOGETHER));
    let authorities = authorities(&site.client()?, &site.url("/scep/device")).await?;
    let mut preparing = JoinSet::new();
    for _ in 0..count {
        let device = site.new_device()?;
        let (link, places) = (Arc::clone(&link), Arc::clone(&places));
        preparing.spawn(async move {
            let _place = places.acquire().await;
            let credentials = Credentials::new(USER, PASSWORD);
            let signed_in = device.sign_in(&link, &credentials).await;
            let service = signed_in.map_err(|error| error.to_string())?.service;
            let attributes = device.attributes(&service.attributes, service.challenge);
            let message = device.phase_2_message(&attributes);
            let message = message.map_err(|error| error.to_string())?;
            let identified = device.identify(&service.url, &message).await;
            let payload = identified.map_err(|error| error.to_string())?.scep;
            let challenge = payload
                .challenge
                .ok_or("an interim profile has a challenge")?;
            let key = tokio::task::spawn_blocking(|| PrivateKey::generate_rsa(2048)).await;
            let key = key.map_err(|error| error.to_string())?;
            // The request points to it, and both are needed until the program ends.
            let key = Box::leak(Box::new(key.map_err(|error| error.to_string())?));
            let subject = Name::new(&[(NameAttribute::CommonName, device.udid())]);
            let nonce = rand::random();
            let now = SystemTime::now();
            let enrollment = Enrollment::new(
                authorities,
                key,
                &subject,
                Some(challenge.expose()),
                nonce,
                now,
            );
            let enrollment = enrollment.map_err(|error| error.to_string())?;
            let url = format!("{}?operation=PKIOperation", payload.url);
            let call = Call::post(url, MESSAGE, enrollment.message().to_vec());
            Ok::<_, String>(Request { enrollment, call })
        });
    }
    let mut requests = Vec::new();
    while let Some(prepared) = preparing.join_next().await {
        requests.push(prepared.map_err(|error| error.to_string())??);
    }
    Ok(requests)
}

/// GetCACaps.
pub(crate) fn capabilities(site: &Site) -> Call {
    Call::get(site.url("/scep/device?operation=GetCACaps"))
}

async fn authorities(client: &Client, scep: &str) -> Result<&'static Authorities, String> {
    let answer = client
        .send(&Call::get(format!("{scep}?operation=GetCACert")))
        .await;
    let answer = answer.map_err(|error| error.to_string())?;
    let read = Authorities::read(&answer.content_type, &answer.body);
    // As the keys of devices.
    Ok(Box::leak(Box::new(
        read.map_err(|error| error.to_string())?,
    )))
}
