//! The MDM push certificate: proof towards APNs, and the topic that devices are enrolled with.

use std::fmt;
use std::time::SystemTime;

use lanyard_pki::{Certificate, KeyError, NameAttribute, PrivateKey, pkcs12};

/// Every MDM topic begins so (Apple, "Setting up push notifications for your MDM customers").
const TOPIC_PREFIX: &str = "com.apple.mgmt.";

/// A push certificate with its private key and chain.
#[derive(Clone)]
pub struct PushCertificate {
    key: PrivateKey,
    /// The leaf first.
    chain: Vec<Certificate>,
    topic: String,
}

impl PushCertificate {
    /// Reads PEM text with the certificate, its private key (PKCS#8, PKCS#1 or SEC 1, not encrypted) and, where there are
    /// any, intermediate certificates, in any order.
    ///
    /// # Errors
    /// See [`CertificateError`]; each says what to do about it.
    pub fn from_pem(pem: &[u8]) -> Result<PushCertificate, CertificateError> {
        let text = String::from_utf8_lossy(pem);
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(CertificateError::Encrypted);
        }
        if !text.contains("PRIVATE KEY-----") {
            return Err(CertificateError::NoKey);
        }
        if !text.contains("BEGIN CERTIFICATE-----") {
            return Err(CertificateError::NoCertificate);
        }
        let key = PrivateKey::from_pem(pem).map_err(CertificateError::Key)?;
        let certificates =
            Certificate::many_from_pem(pem).map_err(CertificateError::Certificate)?;
        PushCertificate::new(key, certificates)
    }

    /// Reads a PKCS#12 file (`.p12`, `.pfx`), which is how Keychain Access exports a certificate with its key.
    ///
    /// # Errors
    /// See [`CertificateError`]; each says what to do about it.
    pub fn from_pkcs12(file: &[u8], password: &str) -> Result<PushCertificate, CertificateError> {
        let (key, certificates) = pkcs12::open(file, password).map_err(CertificateError::Pkcs12)?;
        PushCertificate::new(key, certificates)
    }

    fn new(
        key: PrivateKey,
        mut certificates: Vec<Certificate>,
    ) -> Result<PushCertificate, CertificateError> {
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let leaf = certificates
            .iter()
            .position(|certificate| certificate.public_key() == key.public_key())
            .ok_or(CertificateError::OtherKey)?;
        certificates.swap(0, leaf);
        let topic = topic(&certificates[0])?;
        Ok(PushCertificate {
            key,
            chain: certificates,
            topic,
        })
    }

    /// The topic: the UID of the subject, `com.apple.mgmt.` and more. It goes into the MDM payload, and must stay the same
    /// when the certificate is renewed, or every enrolled device is lost.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// From when on the certificate is valid.
    pub fn not_before(&self) -> SystemTime {
        self.chain[0].not_before()
    }

    /// Until when the certificate is valid; Apple's live one year.
    pub fn not_after(&self) -> SystemTime {
        self.chain[0].not_after()
    }

    /// The push certificate itself.
    pub fn certificate(&self) -> &Certificate {
        &self.chain[0]
    }

    /// Refuses a certificate that APNs would not accept at `now`.
    ///
    /// # Errors
    /// [`CertificateError::Expired`] and [`CertificateError::NotYetValid`].
    pub fn check_validity(&self, now: SystemTime) -> Result<(), CertificateError> {
        if now > self.not_after() {
            Err(CertificateError::Expired)
        } else if now < self.not_before() {
            Err(CertificateError::NotYetValid)
        } else {
            Ok(())
        }
    }

    /// Refuses to replace this certificate with one of another topic: devices answer to the topic that they were enrolled
    /// with, and only enrolling them again would change it.
    ///
    /// # Errors
    /// [`CertificateError::OtherTopic`].
    pub fn check_renewal(&self, renewed: &PushCertificate) -> Result<(), CertificateError> {
        if renewed.topic == self.topic {
            Ok(())
        } else {
            Err(CertificateError::OtherTopic {
                old: self.topic.clone(),
                new: renewed.topic.clone(),
            })
        }
    }

    pub(crate) fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    pub(crate) fn key(&self) -> &PrivateKey {
        &self.key
    }
}

/// Of which days before its end a push certificate reminds, the nearest first.
const MILESTONES: [u64; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 14, 30, 60];

/// How near the end of a certificate is, which is valid until `not_after`: in so many days at most, of 60, 30, 14 and each of the last
/// seven; 0 says that it is over or on its last day. `None` if there is time.
pub fn days_left_at_most(not_after: SystemTime, now: SystemTime) -> Option<u64> {
    const DAY: u64 = 24 * 3600;
    let left = not_after.duration_since(now).unwrap_or_default();
    let days = left.as_secs() / DAY;
    MILESTONES.into_iter().find(|milestone| days <= *milestone)
}

impl fmt::Debug for PushCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushCertificate")
            .field("topic", &self.topic)
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}

fn topic(leaf: &Certificate) -> Result<String, CertificateError> {
    let uid = leaf
        .subject()
        .attribute(NameAttribute::UserId)
        .ok_or(CertificateError::NoTopic)?;
    let wellformed = uid.len() > TOPIC_PREFIX.len()
        && uid.starts_with(TOPIC_PREFIX)
        && uid.bytes().all(|octet| octet.is_ascii_graphic());
    if wellformed {
        Ok(uid)
    } else {
        Err(CertificateError::NotForMdm { uid })
    }
}

/// The operator's push certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The PEM text has no private key.
    #[error(
        "the push certificate's file has no private key: append the key that the signing request was made with (-----BEGIN PRIVATE KEY-----)"
    )]
    NoKey,
    /// The private key in the PEM text is encrypted.
    #[error(
        "the push certificate's private key is encrypted: decrypt it (openssl pkey -in FILE), or give a PKCS#12 file with its password"
    )]
    Encrypted,
    /// The private key cannot be read.
    #[error(
        "the push certificate's private key cannot be read: it must be an RSA or EC key in PEM"
    )]
    Key(#[source] KeyError),
    /// A certificate cannot be read.
    #[error(
        "the push certificate cannot be read: it must be PEM (-----BEGIN CERTIFICATE-----), as Apple's portal hands it out"
    )]
    Certificate(#[source] lanyard_pki::CertificateError),
    /// The PKCS#12 file cannot be opened.
    #[error(
        "the PKCS#12 file with the push certificate cannot be opened: check the password (push.password_file names the file that it is in), and that it was exported together with its private key"
    )]
    Pkcs12(#[source] pkcs12::Pkcs12Error),
    /// There is a key and no certificate.
    #[error(
        "the push certificate's file has a private key and no certificate: append the file that Apple's portal hands out"
    )]
    NoCertificate,
    /// The key belongs to another certificate.
    #[error(
        "the private key does not belong to the push certificate: use the key that the signing request was made with, or renew the certificate with a new request"
    )]
    OtherKey,
    /// The subject has no UID.
    #[error(
        "the certificate's subject has no UID, so it has no topic: it is no APNs certificate; get one at identity.apple.com/pushcert"
    )]
    NoTopic,
    /// The UID is no MDM topic.
    #[error(
        "the certificate's UID is {uid:?} and an MDM topic begins with {TOPIC_PREFIX:?}: this one is for an app; get one at identity.apple.com/pushcert"
    )]
    NotForMdm {
        /// The UID.
        uid: String,
    },
    /// The certificate has expired.
    #[error(
        "the push certificate has expired: renew it (not \"create\") at identity.apple.com/pushcert with the same Apple Account"
    )]
    Expired,
    /// The certificate is not valid yet.
    #[error("the push certificate is not valid yet: check this machine's clock")]
    NotYetValid,
    /// TLS cannot sign with the key.
    #[error(
        "TLS cannot work with the push certificate and its key: the key must be RSA of 2048 bits or more, or on the curve P-256 or P-384"
    )]
    Unusable(#[source] rustls::Error),
    /// A renewal that would lose every device.
    #[error(
        "the new push certificate's topic is {new} and devices are enrolled with {old}: they could never be woken again; renew the old entry at identity.apple.com/pushcert instead of creating one"
    )]
    OtherTopic {
        /// The topic that devices are enrolled with.
        old: String,
        /// The topic of the refused certificate.
        new: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_pki::{Authority, KeyUsage, Name, Template};
    use std::time::{Duration, UNIX_EPOCH};

    const TOPIC: &str = "com.apple.mgmt.External.0d7a7f3e-0000-4000-8000-000000000001";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn issue(subject: &[(NameAttribute, &str)]) -> (PrivateKey, Certificate) {
        let key = PrivateKey::generate_p256().unwrap();
        let template = Template {
            subject: Name::new(subject),
            serial: lanyard_pki::SerialNumber::from_random([7; 16]),
            not_before: at(1000),
            not_after: at(2000),
            key_usage: KeyUsage::DIGITAL_SIGNATURE,
            extended_key_usage: Vec::new(),
            alternative_names: Vec::new(),
            authority: None,
            permitted_hosts: Vec::new(),
        };
        let certificate = Authority::self_signed(key.clone(), &template)
            .unwrap()
            .certificate()
            .clone();
        (key, certificate)
    }

    fn pem(key: &PrivateKey, certificates: &[&Certificate]) -> Vec<u8> {
        let certificates: String = certificates.iter().map(|each| each.to_pem()).collect();
        format!("{certificates}{}", *key.to_pem().unwrap()).into_bytes()
    }

    #[test]
    fn the_topic_is_the_uid_whatever_the_order_of_the_file() {
        let (key, leaf) = issue(&[(NameAttribute::UserId, TOPIC)]);
        let (_, other) = issue(&[(NameAttribute::CommonName, "intermediate")]);
        let read = PushCertificate::from_pem(&pem(&key, &[&other, &leaf])).unwrap();
        assert_eq!(read.topic(), TOPIC);
        assert_eq!(read.chain(), [leaf.clone(), other]);
        assert_eq!((read.not_before(), read.not_after()), (at(1000), at(2000)));

        let file = pkcs12::write(&key, &leaf, "secret").unwrap();
        let read = PushCertificate::from_pkcs12(&file, "secret").unwrap();
        assert_eq!((read.topic(), read.certificate()), (TOPIC, &leaf));
        assert!(matches!(
            PushCertificate::from_pkcs12(&file, "wrong"),
            Err(CertificateError::Pkcs12(_))
        ));
    }

    #[test]
    fn each_unusable_file_is_told_apart() {
        let (key, leaf) = issue(&[(NameAttribute::UserId, TOPIC)]);
        let (other_key, app) = issue(&[(NameAttribute::UserId, "org.example.app")]);
        let (nameless_key, nameless) = issue(&[(NameAttribute::CommonName, "x")]);
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n".to_vec();
        for (file, expected) in [
            (leaf.to_pem().into_bytes(), "has no private key"),
            (pem(&key, &[]), "no certificate"),
            (encrypted, "is encrypted"),
            (pem(&other_key, &[&leaf]), "does not belong"),
            (pem(&other_key, &[&app]), "is for an app"),
            (pem(&nameless_key, &[&nameless]), "has no UID"),
            (Vec::new(), "has no private key"),
        ] {
            let error = PushCertificate::from_pem(&file).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }

    #[test]
    fn the_end_is_announced_60_30_14_and_each_of_the_last_7_days_ahead() {
        const DAY: u64 = 24 * 3600;
        let end = at(1000 * DAY);
        for (left, expected) in [
            (62 * DAY, None),
            (61 * DAY - 1, Some(60)),
            (31 * DAY, Some(60)),
            (31 * DAY - 1, Some(30)),
            (14 * DAY, Some(14)),
            (8 * DAY, Some(14)),
            (7 * DAY, Some(7)),
            (3 * DAY, Some(3)),
            (DAY - 1, Some(0)),
            (0, Some(0)),
        ] {
            let now = at(1000 * DAY - left);
            assert_eq!(days_left_at_most(end, now), expected, "{left}");
        }
        assert_eq!(days_left_at_most(end, at(1001 * DAY)), Some(0));
    }

    #[test]
    fn validity_and_renewal_are_checked() {
        let read = |topic| {
            let (key, leaf) = issue(&[(NameAttribute::UserId, topic)]);
            PushCertificate::from_pem(&pem(&key, &[&leaf])).unwrap()
        };
        let old = read(TOPIC);
        assert!(old.check_validity(at(1500)).is_ok());
        assert!(matches!(
            old.check_validity(at(2001)),
            Err(CertificateError::Expired)
        ));
        assert!(matches!(
            old.check_validity(at(999)),
            Err(CertificateError::NotYetValid)
        ));
        assert!(old.check_renewal(&read(TOPIC)).is_ok());
        let error = old
            .check_renewal(&read("com.apple.mgmt.other"))
            .unwrap_err();
        assert!(error.to_string().contains(TOPIC), "{error}");
    }
}
