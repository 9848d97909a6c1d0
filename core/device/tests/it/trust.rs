//! Whose signature a device believes.

use std::time::{Duration, SystemTime};

use lanyard_device::trust::{self, Untrusted};
use lanyard_mdm::signed::{self, SignedDocument, SigningIdentity};
use lanyard_pki::{Authority, Certificate, KeyUsage, Name, NameAttribute, PrivateKey, Template};

const HOUR: Duration = Duration::from_secs(3600);

struct Chain {
    root: Authority,
    middle: Authority,
    leaf: Certificate,
    key: PrivateKey,
}

impl Chain {
    /// Root and intermediate authority, and a signer whose certificate ends an hour from now.
    fn new(now: SystemTime) -> Chain {
        let key = || PrivateKey::generate_p256().unwrap();
        let template = |name: &str, authority, until| Template {
            subject: Name::new(&[(NameAttribute::CommonName, name)]),
            serial: lanyard_pki::SerialNumber::from_random([1; 16]),
            not_before: now - HOUR,
            not_after: until,
            key_usage: KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_CERT_SIGN),
            extended_key_usage: Vec::new(),
            alternative_names: Vec::new(),
            authority,
            permitted_hosts: Vec::new(),
        };
        let root = template("root", Some(1), now + 24 * HOUR);
        let root = Authority::self_signed(key(), &root).unwrap();
        let (middle_key, leaf_key) = (key(), key());
        let middle = template("middle", Some(0), now + 24 * HOUR);
        let middle = root.danger_issue(&middle, middle_key.public_key()).unwrap();
        let middle = Authority::new(middle, middle_key).unwrap();
        let leaf = template("leaf", None, now + HOUR);
        let leaf = middle.danger_issue(&leaf, leaf_key.public_key()).unwrap();
        Chain {
            root,
            middle,
            leaf,
            key: leaf_key,
        }
    }

    fn sign(&self, chain: &[&Authority]) -> SignedDocument {
        let chain: Vec<Certificate> = chain
            .iter()
            .map(|authority| authority.certificate().clone())
            .collect();
        let identity = SigningIdentity {
            key: &self.key,
            certificate: &self.leaf,
            chain: &chain,
        };
        signed::open(&signed::sign(b"document", identity).unwrap()).unwrap()
    }

    fn anchor(&self) -> [Certificate; 1] {
        [self.root.certificate().clone()]
    }
}

#[test]
fn a_chain_ends_at_an_anchor_whether_the_message_carries_it_or_not() {
    let now = SystemTime::now();
    let chain = Chain::new(now);
    for carried in [
        &[&chain.middle, &chain.root][..],
        &[&chain.root, &chain.middle],
        &[&chain.middle],
    ] {
        let document = chain.sign(carried);
        assert_eq!(trust::verify(&document, &chain.anchor(), now), Ok(()));
    }
    // The signer itself may be what is trusted.
    let pinned = [chain.leaf.clone()];
    assert_eq!(trust::verify(&chain.sign(&[]), &pinned, now), Ok(()));
}

#[test]
fn a_chain_that_ends_elsewhere_is_not_believed() {
    let now = SystemTime::now();
    // Another chain with the very same names.
    let (chain, other) = (Chain::new(now), Chain::new(now));
    let complete = chain.sign(&[&chain.middle, &chain.root]);
    for (document, anchors, top) in [
        (&complete, other.anchor().to_vec(), "CN=root"),
        (&complete, Vec::new(), "CN=root"),
        (&chain.sign(&[]), chain.anchor().to_vec(), "CN=leaf"),
        (
            &chain.sign(&[&other.middle]),
            other.anchor().to_vec(),
            "CN=leaf",
        ),
    ] {
        let Err(Untrusted::NoAnchor { top: ended, .. }) = trust::verify(document, &anchors, now)
        else {
            panic!("believed: the chain should end at {top}");
        };
        assert_eq!(ended, top);
    }
}

#[test]
fn certificates_out_of_their_time_are_not_believed() {
    let now = SystemTime::now();
    let chain = Chain::new(now);
    let document = chain.sign(&[&chain.middle]);
    for (at, subject) in [(now + 2 * HOUR, "CN=leaf"), (now - 2 * HOUR, "CN=leaf")] {
        assert_eq!(
            trust::verify(&document, &chain.anchor(), at),
            Err(Untrusted::Time {
                subject: subject.to_owned()
            })
        );
    }
}
