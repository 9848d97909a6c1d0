//! Issuing certificates, through rcgen.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::SystemTime,
};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    NameConstraints, PublicKeyData, SanType, SignatureAlgorithm, SigningKey, SubjectPublicKeyInfo,
};

use crate::{Certificate, CertificateError, KeyUsage, Name, PrivateKey, PublicKey, oid};

/// A certificate could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The template or the key cannot be put into a certificate.
    #[error("the certificate could not be written")]
    Write(#[from] rcgen::Error),
    /// What was written could not be read again.
    #[error("the certificate written cannot be read")]
    Read(#[from] CertificateError),
    /// The authority's name has something (two values of one type, say) that the writer would lose.
    #[error(
        "the authority's name {0} cannot be repeated as issuer; use an authority with one value for each attribute type"
    )]
    IssuerName(String),
    /// The subject would not come out as the template has it.
    #[error("the subject {0} cannot be written; one value for each attribute type is expected")]
    SubjectName(String),
    /// The end of validity is not after its beginning.
    #[error(
        "the certificate would end before it begins; has the authority's own certificate expired?"
    )]
    Validity,
    /// The certificate and the key of an authority do not belong together.
    #[error("the authority's certificate is not for the authority's key")]
    KeyMismatch,
}

/// One subjectAltName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
    /// A mail address.
    Email(String),
    /// A URI.
    Uri(String),
}

/// The kind and the name: `dns:host.example`.
impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Ip(address) => write!(f, "ip:{address}"),
            Self::Email(name) => write!(f, "email:{name}"),
            Self::Uri(name) => write!(f, "uri:{name}"),
        }
    }
}

/// What a certificate's key may be used for beyond its [`KeyUsage`] (RFC 5280, 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedKeyUsage {
    /// TLS servers.
    ServerAuth,
    /// TLS clients; device identities.
    ClientAuth,
}

/// A serial number: positive, and always of 16 octets (RFC 5280, 4.1.2.2, allows 20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialNumber([u8; 16]);

impl SerialNumber {
    /// Makes a serial number out of random octets, 126 bits of which stay: neither negative, nor with a leading zero that an
    /// encoder would drop.
    #[must_use]
    pub const fn from_random(mut octets: [u8; 16]) -> Self {
        octets[0] = octets[0] & 0x3f | 0x40;
        Self(octets)
    }

    /// The contents of the INTEGER.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// All that a certificate will say, but for its key and its issuer.
#[derive(Clone, Debug)]
pub struct Template {
    /// Whom it is about.
    pub subject: Name,
    /// From the caller, so that a caller can record it before anything is signed.
    pub serial: SerialNumber,
    /// Valid from.
    pub not_before: SystemTime,
    /// Valid until.
    pub not_after: SystemTime,
    /// Key usage, written as a critical extension.
    pub key_usage: KeyUsage,
    /// Extended key usage; none is written when empty.
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    /// subjectAltNames; none is written when empty.
    pub alternative_names: Vec<AlternativeName>,
    /// `None`: an end entity's. `Some(n)`: an authority's, with at most n authorities below it.
    pub authority: Option<u8>,
    /// The only hosts that certificates below this authority may name (nameConstraints, RFC 5280, 4.2.1.10): DNS names with
    /// what is below them, and addresses. Empty: any. Other kinds of names are not constrained.
    pub permitted_hosts: Vec<AlternativeName>,
}

/// A certificate authority: a certificate and its key.
#[derive(Clone)]
pub struct Authority {
    certificate: Certificate,
    key: PrivateKey,
}

impl Authority {
    /// Puts an authority's certificate and key together.
    ///
    /// # Errors
    /// [`IssueError::KeyMismatch`]
    pub fn new(certificate: Certificate, key: PrivateKey) -> Result<Self, IssueError> {
        if certificate.public_key() != key.public_key() {
            return Err(IssueError::KeyMismatch);
        }
        Ok(Self { certificate, key })
    }

    /// A new root. The template's `authority` says how many levels may follow.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn self_signed(key: PrivateKey, template: &Template) -> Result<Self, IssueError> {
        let certificate = parameters(template)?.self_signed(&Signing(&key))?;
        Self::new(read_again(certificate.der(), template)?, key)
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority's key.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Signs whatever the template says, for whatever key. Whoever calls this answers for the authorisation; requests
    /// from outside go through `lanyard_scep`, which only issues what was authorised.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn danger_issue(
        &self,
        template: &Template,
        key: &PublicKey,
    ) -> Result<Certificate, IssueError> {
        let subject_key = SubjectPublicKeyInfo::from_der(key.spki())?;
        let issuer = Issuer::from_ca_cert_der(&self.certificate.der().into(), Signing(&self.key))?;
        let certificate = parameters(template)?.signed_by(&subject_key, &issuer)?;
        let certificate = read_again(certificate.der(), template)?;
        if certificate.issuer() != self.certificate.subject() {
            return Err(IssueError::IssuerName(
                self.certificate.subject().to_string(),
            ));
        }
        Ok(certificate)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.certificate.subject())
    }
}

/// rcgen keeps one value for each attribute type, and drops the others without a word.
fn read_again(der: &[u8], template: &Template) -> Result<Certificate, IssueError> {
    let certificate = Certificate::from_der(der)?;
    if certificate.subject().attributes() == template.subject.attributes() {
        Ok(certificate)
    } else {
        Err(IssueError::SubjectName(template.subject.to_string()))
    }
}

fn parameters(template: &Template) -> Result<CertificateParams, IssueError> {
    if template.not_after <= template.not_before {
        return Err(IssueError::Validity);
    }
    let mut parameters = CertificateParams::default();
    parameters.not_before = template.not_before.into();
    parameters.not_after = template.not_after.into();
    parameters.serial_number = Some(rcgen::SerialNumber::from_slice(template.serial.octets()));
    parameters.distinguished_name = distinguished_name(&template.subject);
    parameters.is_ca = match template.authority {
        Some(below) => IsCa::Ca(BasicConstraints::Constrained(below)),
        None => IsCa::ExplicitNoCa,
    };
    parameters.key_usages = [
        (
            KeyUsage::DIGITAL_SIGNATURE,
            KeyUsagePurpose::DigitalSignature,
        ),
        (KeyUsage::KEY_ENCIPHERMENT, KeyUsagePurpose::KeyEncipherment),
        (KeyUsage::KEY_CERT_SIGN, KeyUsagePurpose::KeyCertSign),
        (KeyUsage::CRL_SIGN, KeyUsagePurpose::CrlSign),
    ]
    .into_iter()
    .filter(|&(usage, _)| template.key_usage.contains(usage))
    .map(|(_, purpose)| purpose)
    .collect();
    parameters.extended_key_usages = template
        .extended_key_usage
        .iter()
        .map(|usage| match usage {
            ExtendedKeyUsage::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsage::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    parameters.subject_alt_names = template
        .alternative_names
        .iter()
        .map(subject_alt_name)
        .collect::<Result<_, rcgen::Error>>()?;
    parameters.name_constraints = name_constraints(&template.permitted_hosts);
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_identifier_method = KeyIdMethod::Sha256;
    Ok(parameters)
}

/// A kind of name that no subtree permits is unconstrained: addresses have to be excluded where only names are permitted, and
/// the other way round.
fn name_constraints(hosts: &[AlternativeName]) -> Option<NameConstraints> {
    if hosts.is_empty() {
        return None;
    }
    let permitted_subtrees: Vec<GeneralSubtree> = hosts
        .iter()
        .filter_map(|host| match host {
            AlternativeName::Dns(name) => Some(GeneralSubtree::DnsName(name.clone())),
            AlternativeName::Ip(address) => {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                Some(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                    *address, bits,
                )))
            }
            AlternativeName::Email(_) | AlternativeName::Uri(_) => None,
        })
        .collect();
    let names = permitted_subtrees
        .iter()
        .any(|subtree| matches!(subtree, GeneralSubtree::DnsName(_)));
    let addresses = permitted_subtrees
        .iter()
        .any(|subtree| matches!(subtree, GeneralSubtree::IpAddress(_)));
    let mut excluded_subtrees = Vec::new();
    if !names {
        excluded_subtrees.push(GeneralSubtree::DnsName(String::new()));
    }
    if !addresses {
        let everything = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        excluded_subtrees.extend(
            everything.map(|any| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(any, 0))),
        );
    }
    Some(NameConstraints {
        permitted_subtrees,
        excluded_subtrees,
    })
}

fn subject_alt_name(name: &AlternativeName) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        AlternativeName::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        AlternativeName::Ip(address) => SanType::IpAddress(*address),
        AlternativeName::Email(name) => SanType::Rfc822Name(name.as_str().try_into()?),
        AlternativeName::Uri(name) => SanType::URI(name.as_str().try_into()?),
    })
}

fn distinguished_name(name: &Name) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    for (kind, value) in name.attributes() {
        let kind = match kind {
            oid::COUNTRY => DnType::CountryName,
            oid::ORGANIZATION => DnType::OrganizationName,
            oid::ORGANIZATIONAL_UNIT => DnType::OrganizationalUnitName,
            oid::COMMON_NAME => DnType::CommonName,
            other => DnType::CustomDnType(other.arcs().map(u64::from).collect()),
        };
        let printable = matches!(kind, DnType::CountryName) || kind == serial_number();
        let value = match (printable, value.as_str().try_into()) {
            (true, Ok(printable)) => DnValue::PrintableString(printable),
            _ => DnValue::Utf8String(value),
        };
        distinguished_name.push(kind, value);
    }
    distinguished_name
}

fn serial_number() -> DnType {
    DnType::CustomDnType(oid::SUBJECT_SERIAL_NUMBER.arcs().map(u64::from).collect())
}

/// Lets rcgen sign with a key that OpenSSL holds; a key in a token or a service would stand in the same place.
struct Signing<'a>(&'a PrivateKey);

impl PublicKeyData for Signing<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().bits()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        if self.0.is_rsa() {
            &rcgen::PKCS_RSA_SHA256
        } else {
            &rcgen::PKCS_ECDSA_P256_SHA256
        }
    }
}

impl SigningKey for Signing<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0
            .sign(crate::Digest::Sha256, message)
            .map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{NameAttribute, Strength};

    fn template(subject: &str, authority: Option<u8>) -> Template {
        Template {
            subject: Name::new(&[
                (NameAttribute::CommonName, subject),
                (NameAttribute::SerialNumber, "C02"),
            ]),
            serial: SerialNumber::from_random([7; 16]),
            not_before: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            not_after: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            key_usage: KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT),
            extended_key_usage: vec![ExtendedKeyUsage::ClientAuth],
            alternative_names: vec![AlternativeName::Dns("device.example".into())],
            authority,
            permitted_hosts: Vec::new(),
        }
    }

    #[test]
    fn certificates_say_what_the_template_says() {
        for key in [
            PrivateKey::generate_p256().unwrap(),
            PrivateKey::generate_rsa(2048).unwrap(),
        ] {
            let authority = Authority::self_signed(key, &template("authority", Some(0))).unwrap();
            let device = PrivateKey::generate_rsa(2048).unwrap();
            let template = template("device", None);
            let issued = authority
                .danger_issue(&template, device.public_key())
                .unwrap();
            assert_eq!(issued.subject(), &template.subject);
            assert_eq!(issued.issuer(), authority.certificate().subject());
            assert_eq!(issued.serial(), template.serial.octets());
            assert_eq!(
                (issued.not_before(), issued.not_after()),
                (template.not_before, template.not_after)
            );
            assert_eq!(issued.key_usage(), Some(template.key_usage));
            assert_eq!(issued.public_key(), device.public_key());
            assert!(!issued.is_authority() && authority.certificate().is_authority());
            assert_eq!(
                issued.verify_signed_by(authority.key().public_key(), Strength::Modern),
                Ok(())
            );
            assert_ne!(
                issued.verify_signed_by(device.public_key(), Strength::Modern),
                Ok(())
            );
            let pem = Certificate::many_from_pem(issued.to_pem().as_bytes()).unwrap();
            assert_eq!(pem, [issued]);
        }
    }

    #[test]
    fn an_authority_needs_its_own_key() {
        let authority = Authority::self_signed(
            PrivateKey::generate_p256().unwrap(),
            &template("authority", Some(0)),
        )
        .unwrap();
        let other = PrivateKey::generate_p256().unwrap();
        assert!(matches!(
            Authority::new(authority.certificate().clone(), other),
            Err(IssueError::KeyMismatch)
        ));
    }
}
