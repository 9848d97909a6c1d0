//! SCEP as Apple's client does it: capabilities, the authority's certificates, a key, a request.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lanyard_mdm::profile::ScepPayload;
use lanyard_pki::{Digest, KeyError, Name, NameAttribute, PrivateKey};
use lanyard_scep::client::{Answer as Decision, Authorities, Enrollment};
use tokio::time::sleep;

use super::StepError;
use crate::device::Device;
use crate::factory::Identity;
use crate::http::{Answer, Call};

const MESSAGE_CONTENT_TYPE: &str = "application/x-pki-message";

/// The sizes that Apple's client makes. Others may take as long as the server likes.
const KEY_SIZES: [u16; 3] = [1024, 2048, 4096];

/// Apple's defaults where the payload says nothing.
const RETRIES: u32 = 3;
const RETRY_DELAY: u32 = 10;

/// How a device comes back for a certificate that nobody has decided about yet.
#[derive(Clone, Copy)]
pub(super) struct Polls {
    most: u32,
    delay: Duration,
}

impl fmt::Display for Polls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waits; the server has not decided yet (PENDING), and somebody may have to approve it. \
             Asks again every {} s, {} times at most",
            self.delay.as_secs(),
            self.most
        )
    }
}

impl Device {
    /// Makes a key and gets a certificate for it.
    ///
    /// # Errors
    /// The endpoint is none that Apple's client would use, or it refuses.
    pub async fn certify(&self, payload: &ScepPayload) -> Result<Identity, StepError> {
        self.certify_watched(payload, |_| {}, |_| {}).await
    }

    /// The same with a pkiMessage that `alter` has had its hands on. `waits` hears it once if the endpoint does not decide at once.
    pub(super) async fn certify_watched(
        &self,
        payload: &ScepPayload,
        alter: impl FnOnce(&mut Vec<u8>),
        waits: impl FnOnce(Polls),
    ) -> Result<Identity, StepError> {
        if !KEY_SIZES.contains(&payload.key_bits) {
            return Err(StepError::KeySize {
                bits: payload.key_bits,
            });
        }
        let takes_post = self.scep_capabilities(payload).await?;
        let authorities = self.scep_authorities(payload).await?;
        let key = generate(payload.key_bits.into()).await?;
        let subject = subject(payload)?;
        let challenge = payload
            .challenge
            .as_ref()
            .map(|challenge| challenge.expose());
        let now = SystemTime::now();
        let mut enrollment =
            Enrollment::new(&authorities, &key, &subject, challenge, rand::random(), now)?;
        let mut message = enrollment.message().to_vec();
        alter(&mut message);
        let polls = Polls {
            most: payload.retries.unwrap_or(RETRIES),
            delay: Duration::from_secs(payload.retry_delay.unwrap_or(RETRY_DELAY).into()),
        };
        let mut waits = Some(waits);
        for attempt in 0..=polls.most {
            let call = pki_operation(payload, message, takes_post);
            let answer = self.client.send_repeatedly(&call).await?;
            let answer = of_type(answer, MESSAGE_CONTENT_TYPE)?;
            match enrollment.receive(&answer.body)? {
                Decision::Issued(certificate) => {
                    return Ok(Identity {
                        key,
                        certificate,
                        chain: Vec::new(),
                    });
                }
                Decision::Failed { info, text } => {
                    return Err(StepError::ScepFailed { info, text });
                }
                Decision::Pending => {
                    if let Some(waits) = waits.take() {
                        waits(polls);
                    }
                    // Apple's client polls once without waiting.
                    if (1..polls.most).contains(&attempt) {
                        sleep(polls.delay).await;
                    }
                    enrollment.poll(rand::random(), SystemTime::now())?;
                    message = enrollment.message().to_vec();
                }
            }
        }
        Err(StepError::ScepPending)
    }

    /// Whether PKIOperation may be posted.
    async fn scep_capabilities(&self, payload: &ScepPayload) -> Result<bool, StepError> {
        let url = operation(payload, "GetCACaps", payload.name.as_deref());
        let answer = self.client.send_repeatedly(&Call::get(url)).await?.ok()?;
        let text = String::from_utf8_lossy(&answer.body);
        let has = |any_of: &[&str]| text.lines().any(|line| any_of.contains(&line));
        let digest = has(&["SHA-1", "SHA-256", "SHA-512", "SCEPStandard"]);
        let cipher = has(&["AES", "DES3", "SCEPStandard"]);
        if !digest || !cipher {
            return Err(StepError::ScepCapabilities);
        }
        Ok(has(&["POSTPKIOperation", "SCEPStandard"]))
    }

    async fn scep_authorities(&self, payload: &ScepPayload) -> Result<Authorities, StepError> {
        let url = operation(payload, "GetCACert", payload.name.as_deref());
        let answer = self.client.send_repeatedly(&Call::get(url)).await?.ok()?;
        let authorities = Authorities::read(&answer.content_type, &answer.body)?;
        if let Some(pinned) = &payload.ca_fingerprint {
            let mut all = authorities.all().iter();
            if !all.any(|each| Digest::Sha1.of(each.der()) == *pinned) {
                return Err(StepError::ScepFingerprint);
            }
        }
        Ok(authorities)
    }
}

fn pki_operation(payload: &ScepPayload, message: Vec<u8>, takes_post: bool) -> Call {
    if takes_post {
        let url = operation(payload, "PKIOperation", None);
        Call::post(url, MESSAGE_CONTENT_TYPE, message)
    } else {
        let message = STANDARD.encode(message);
        Call::get(operation(payload, "PKIOperation", Some(&message)))
    }
}

/// A key on a thread of its own: it takes a tenth of a second and more.
async fn generate(bits: u32) -> Result<PrivateKey, KeyError> {
    tokio::task::spawn_blocking(move || PrivateKey::generate_rsa(bits))
        .await
        .expect("making a key does not panic, and nobody aborts it")
}

fn of_type(answer: Answer, expected: &'static str) -> Result<Answer, StepError> {
    let answer = answer.ok()?;
    if answer.content_type.starts_with(expected) {
        Ok(answer)
    } else {
        Err(StepError::ContentType {
            expected,
            found: answer.content_type,
        })
    }
}

fn operation(payload: &ScepPayload, name: &str, message: Option<&str>) -> String {
    let url = &payload.url;
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut url = format!("{url}{separator}operation={name}");
    if let Some(message) = message {
        url.push_str("&message=");
        url.push_str(&percent_encoded(message));
    }
    url
}

/// Everything but RFC 3986's unreserved characters is encoded.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|octet| match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(octet).to_string()
            }
            _ => format!("%{octet:02X}"),
        })
        .collect()
}

/// The subject asked for. Of multi-valued names each value becomes a name of its own: nobody is known to send them.
fn subject(payload: &ScepPayload) -> Result<Name, StepError> {
    let pairs = payload.subject.iter().flatten();
    let attributes: Vec<(NameAttribute, &str)> = pairs
        .map(|(kind, value)| {
            let attribute = match kind.as_str() {
                "C" | "2.5.4.6" => NameAttribute::Country,
                "O" | "2.5.4.10" => NameAttribute::Organization,
                "OU" | "2.5.4.11" => NameAttribute::OrganizationalUnit,
                "CN" | "2.5.4.3" => NameAttribute::CommonName,
                "2.5.4.5" => NameAttribute::SerialNumber,
                "0.9.2342.19200300.100.1.1" => NameAttribute::UserId,
                other => {
                    return Err(StepError::Subject {
                        kind: other.to_owned(),
                    });
                }
            };
            Ok((attribute, value.as_str()))
        })
        .collect::<Result<_, _>>()?;
    Ok(Name::new(&attributes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_mdm::Challenge;

    #[test]
    fn an_operation_goes_into_the_url() {
        for (url, message, expected) in [
            ("https://a/scep", None, "https://a/scep?operation=X"),
            (
                "https://a/scep?ca=1",
                Some("Acme & Söhne+="),
                "https://a/scep?ca=1&operation=X&message=Acme%20%26%20S%C3%B6hne%2B%3D",
            ),
        ] {
            let payload = ScepPayload::new(url, Challenge::new("c"));
            assert_eq!(operation(&payload, "X", message), expected);
        }
    }

    #[test]
    fn a_subject_is_written_in_the_order_of_the_payload() {
        let mut payload = ScepPayload::new("https://a/scep", Challenge::new("c"));
        let pair = |kind: &str, value: &str| (kind.to_owned(), value.to_owned());
        payload.subject = vec![
            vec![pair("O", "Acme")],
            vec![pair("CN", "x"), pair("2.5.4.5", "S1")],
        ];
        assert_eq!(
            subject(&payload).unwrap().to_string(),
            "O=Acme, CN=x, serialNumber=S1"
        );
        payload.subject.push(vec![pair("ST", "CA")]);
        assert!(matches!(subject(&payload), Err(StepError::Subject { .. })));
    }
}
