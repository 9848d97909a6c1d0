//! The `openssl` command line takes what is written here.

use lanyard_pki::{
    AlternativeName, Authority, Certificate, CertificationRequest, Digest, ExtendedKeyUsage, Name,
    NameAttribute, Template,
    cms::{self, Attribute, Cipher, Signer},
    oid,
};

use crate::{
    desk::{CONTENT, Desk},
    identities::{EC, INTERMEDIATE, ROOT, RSA, at, authority_template, template},
};

#[test]
fn it_verifies_what_is_signed() {
    let desk = Desk::new();
    let chain = [INTERMEDIATE.certificate().clone()];
    for identity in [&*RSA, &*EC] {
        for digest in [Digest::Sha256, Digest::Sha384, Digest::Sha512] {
            let signer = || {
                Signer::new(&identity.key, &identity.certificate)
                    .chain(&chain)
                    .digest(digest)
            };
            let attributes = || {
                signer()
                    .signing_time(at(1_700_000_000))
                    .attribute(Attribute::printable(oid::CHALLENGE_PASSWORD, b"value"))
            };
            for attached in [
                attributes(),
                signer().without_attributes(),
                signer().signing_time(at(3_000_000_000)),
            ] {
                desk.put("message", attached.sign(CONTENT).unwrap());
                desk.openssl("cms -verify -binary -inform DER -in message -CAfile root.pem -purpose any -out out")
                    .unwrap();
                assert_eq!(desk.take("out"), CONTENT);
            }
            for detached in [
                attributes().detached(),
                signer().without_attributes().detached(),
            ] {
                desk.put("message", detached.sign(CONTENT).unwrap());
                desk.openssl(
                    "cms -verify -binary -inform DER -in message -content content -CAfile root.pem -purpose any -out out",
                )
                .unwrap();
            }
        }
    }
}

#[test]
fn it_refuses_what_was_changed() {
    let desk = Desk::new();
    let chain = [INTERMEDIATE.certificate().clone()];
    let mut message = Signer::new(&RSA.key, &RSA.certificate)
        .chain(&chain)
        .sign(CONTENT)
        .unwrap();
    let at = message
        .windows(CONTENT.len())
        .position(|window| window == CONTENT)
        .unwrap();
    message[at] ^= 1;
    desk.put("message", message);
    desk.openssl("cms -verify -binary -inform DER -in message -CAfile root.pem -purpose any")
        .unwrap_err();
}

#[test]
fn it_decrypts_what_is_encrypted() {
    let desk = Desk::new();
    for cipher in [
        Cipher::Aes128Cbc,
        Cipher::Aes192Cbc,
        Cipher::Aes256Cbc,
        Cipher::TripleDesCbc,
    ] {
        let message = cms::encrypt(CONTENT, &RSA.certificate, cipher).unwrap();
        desk.put("message", message);
        desk.openssl(
            "cms -decrypt -binary -inform DER -in message -recip rsa.pem -inkey rsa.key -out out",
        )
        .unwrap();
        assert_eq!(desk.take("out"), CONTENT);
    }
}

#[test]
fn it_accepts_the_chains_that_are_issued() {
    let desk = Desk::new();
    for leaf in ["rsa.pem", "ec.pem"] {
        desk.openssl(&format!(
            "verify -x509_strict -purpose sslclient -CAfile root.pem -untrusted intermediate.pem {leaf}"
        ))
        .unwrap();
    }
    let server = Template {
        extended_key_usage: vec![ExtendedKeyUsage::ServerAuth],
        alternative_names: vec![
            AlternativeName::Dns("mdm.example".into()),
            AlternativeName::Ip([192, 0, 2, 1].into()),
            AlternativeName::Email("a@mdm.example".into()),
            AlternativeName::Uri("urn:example:1".into()),
        ],
        ..template("server", 6)
    };
    let server = INTERMEDIATE
        .danger_issue(&server, EC.key.public_key())
        .unwrap();
    desk.put("server.pem", server.to_pem());
    desk.openssl(
        "verify -x509_strict -purpose sslserver -verify_hostname mdm.example -CAfile root.pem -untrusted intermediate.pem server.pem",
    )
    .unwrap();
    let text = desk.openssl("x509 -noout -text -in server.pem").unwrap();
    for expected in [
        "DNS:mdm.example, IP Address:192.0.2.1, email:a@mdm.example, URI:urn:example:1",
        "Digital Signature, Key Encipherment",
        "TLS Web Server Authentication",
        "X509v3 Basic Constraints: critical",
        "CA:FALSE",
        "46:06:06:06:06:06:06:06:06:06:06:06:06:06:06:06",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let text = desk.openssl("x509 -noout -text -in root.pem").unwrap();
    for expected in ["CA:TRUE, pathlen:1", "Certificate Sign, CRL Sign"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[test]
fn it_refuses_hosts_that_an_authority_may_not_name() {
    let desk = Desk::new();
    let verifies = |permitted: &[AlternativeName], named: AlternativeName| {
        let root = Template {
            permitted_hosts: permitted.to_vec(),
            ..authority_template("constrained", 7, 0)
        };
        let root = Authority::self_signed(EC.key.clone(), &root).unwrap();
        let server = Template {
            alternative_names: vec![named],
            ..template("server", 8)
        };
        let server = root.danger_issue(&server, RSA.key.public_key()).unwrap();
        desk.put("constrained.pem", root.certificate().to_pem());
        desk.put("named.pem", server.to_pem());
        let verified = desk.openssl("verify -x509_strict -CAfile constrained.pem named.pem");
        if let Err(said) = &verified {
            assert!(said.contains("subtree violation"), "{said}");
        }
        verified.is_ok()
    };
    let dns = |name: &str| AlternativeName::Dns(name.to_owned());
    let ip = |last| AlternativeName::Ip([192, 0, 2, last].into());
    let named = [dns("mdm.example")];
    assert!(verifies(&named, dns("mdm.example")));
    assert!(!verifies(&named, dns("bank.example")) && !verifies(&named, ip(1)));
    let numbered = [ip(1)];
    assert!(verifies(&numbered, ip(1)));
    assert!(!verifies(&numbered, ip(2)) && !verifies(&numbered, dns("mdm.example")));
    assert!(verifies(&[], dns("bank.example")) && verifies(&[], ip(2)));
}

#[test]
fn it_walks_every_structure_that_is_written() {
    let desk = Desk::new();
    let name = Name::new(&[(NameAttribute::CommonName, "device")]);
    let envelope = cms::encrypt(CONTENT, &RSA.certificate, Cipher::Aes128Cbc).unwrap();
    let signed = Signer::new(&RSA.key, &RSA.certificate).sign(&envelope);
    for (structure, expected) in [
        (signed.unwrap(), ":pkcs7-signedData"),
        (envelope, ":pkcs7-envelopedData"),
        (
            cms::certificates_only(&[&RSA.certificate]),
            ":pkcs7-signedData",
        ),
        (RSA.certificate.der().to_vec(), ":sha256WithRSAEncryption"),
        (
            CertificationRequest::sign(&EC.key, &name, Some("secret")).unwrap(),
            ":challengePassword",
        ),
    ] {
        desk.put("structure", structure);
        let said = desk
            .openssl("asn1parse -i -inform DER -in structure")
            .unwrap();
        assert!(said.contains(expected), "{said}");
    }
    // The envelope inside the signed message: its OCTET STRING is at the end of a path of fixed lengths.
    desk.put(
        "structure",
        Signer::new(&RSA.key, &RSA.certificate)
            .sign(&cms::encrypt(CONTENT, &RSA.certificate, Cipher::Aes128Cbc).unwrap())
            .unwrap(),
    );
    let said = desk.openssl("asn1parse -inform DER -in structure").unwrap();
    let line = said
        .lines()
        .find(|line| line.contains("prim: OCTET STRING"))
        .unwrap();
    let offset = line.split(':').next().unwrap().trim();
    let inside = desk
        .openssl(&format!(
            "asn1parse -inform DER -in structure -strparse {offset}"
        ))
        .unwrap();
    assert!(inside.contains(":pkcs7-envelopedData"), "{inside}");
}

#[test]
fn it_lists_a_bundle_in_the_order_given() {
    let desk = Desk::new();
    let bundle = [&RSA.certificate, ROOT.certificate(), &EC.certificate];
    desk.put("bundle", cms::certificates_only(&bundle));
    let said = desk
        .openssl("pkcs7 -print_certs -inform DER -in bundle")
        .unwrap();
    let listed = Certificate::many_from_pem(said.as_bytes()).unwrap();
    assert!(listed.iter().eq(bundle));
}

#[test]
fn it_accepts_the_requests_that_are_signed() {
    let desk = Desk::new();
    let subject = Name::new(&[
        (NameAttribute::Organization, "Example"),
        (NameAttribute::CommonName, "device"),
    ]);
    for key in [&RSA.key, &EC.key] {
        for challenge in [None, Some("secret")] {
            let request = CertificationRequest::sign(key, &subject, challenge).unwrap();
            desk.put("request", request);
            let said = desk
                .openssl("req -verify -noout -subject -inform DER -in request")
                .unwrap();
            assert!(said.contains("verify OK"), "{said}");
            assert!(said.contains("O = Example, CN = device"), "{said}");
        }
    }
}
