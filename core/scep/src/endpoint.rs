//! One SCEP endpoint: its identities, and what it accepts.

use lanyard_pki::{Authority, Certificate, KeyUsage, PrivateKey, Strength, cms};

mod answer;
mod receive;

/// An endpoint cannot be set up so.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// SCEP envelopes need RSA.
    #[error(
        "the {0} of an SCEP endpoint needs an RSA key; put an RSA registration authority in front of a P-256 authority"
    )]
    NotRsa(&'static str),
    /// The usage in the certificate does not allow what it is for.
    #[error("the certificate of the {0} does not carry the key usage that it needs")]
    KeyUsage(&'static str),
    /// The certificate and the key do not belong together.
    #[error("the certificate of the {0} is not for its key")]
    KeyMismatch(&'static str),
    /// Not issued by the authority.
    #[error("the certificate of the {0} was not issued by the endpoint's authority")]
    NotIssuedByAuthority(&'static str),
}

/// A certificate and its key, in use at an endpoint.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: PrivateKey,
}

/// Who decrypts requests and signs answers.
#[derive(Clone, Debug)]
pub enum Mode {
    /// The authority itself, whose key is RSA.
    AuthorityOnly,
    /// One registration authority for both.
    OneRa(Identity),
    /// One registration authority that signs, one that decrypts: a decryption oracle could then forge nothing.
    SplitRa {
        /// Signs answers: digitalSignature.
        signing: Identity,
        /// Decrypts requests: keyEncipherment.
        encryption: Identity,
    },
}

/// Which algorithms clients may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compatibility {
    /// AES and SHA-2.
    Modern,
    /// Also 3DES and SHA-1, which old clients know only. Never DES, RC2 or MD5.
    Compatible,
}

/// The answer to GetCACert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityResponse {
    /// Clients compare it letter by letter.
    pub content_type: &'static str,
    /// One certificate, or a SignedData with several.
    pub body: Vec<u8>,
}

/// The server half of SCEP at one URL: one authority, one mode.
#[derive(Clone, Debug)]
pub struct Endpoint {
    name: String,
    authority: Authority,
    /// What stands above the authority, its own issuer first, the root last; empty for a root.
    above: Vec<Certificate>,
    mode: Mode,
    compatibility: Compatibility,
}

impl Endpoint {
    /// Sets an endpoint up. The name goes into its challenges and transactions.
    ///
    /// # Errors
    /// [`EndpointError`]
    pub fn new(
        name: &str,
        authority: Authority,
        above: Vec<Certificate>,
        mode: Mode,
        compatibility: Compatibility,
    ) -> Result<Self, EndpointError> {
        let endpoint = Self {
            name: name.to_owned(),
            authority,
            above,
            mode,
            compatibility,
        };
        match &endpoint.mode {
            Mode::AuthorityOnly if !endpoint.authority.key().is_rsa() => {
                return Err(EndpointError::NotRsa("authority"));
            }
            Mode::AuthorityOnly => {}
            Mode::OneRa(ra) => {
                let usage = KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT);
                endpoint.check_ra("registration authority", ra, usage)?;
            }
            Mode::SplitRa {
                signing,
                encryption,
            } => {
                endpoint.check_ra(
                    "signing registration authority",
                    signing,
                    KeyUsage::DIGITAL_SIGNATURE,
                )?;
                endpoint.check_ra(
                    "encrypting registration authority",
                    encryption,
                    KeyUsage::KEY_ENCIPHERMENT,
                )?;
            }
        }
        Ok(endpoint)
    }

    /// Apple's client sorts by key usage, jscep checks that the RA is issued by the authority itself.
    fn check_ra(
        &self,
        what: &'static str,
        ra: &Identity,
        usage: KeyUsage,
    ) -> Result<(), EndpointError> {
        if !ra.key.is_rsa() {
            return Err(EndpointError::NotRsa(what));
        }
        if ra.certificate.public_key() != ra.key.public_key() {
            return Err(EndpointError::KeyMismatch(what));
        }
        if ra.certificate.is_authority()
            || !ra
                .certificate
                .key_usage()
                .is_some_and(|has| has.contains(usage))
        {
            return Err(EndpointError::KeyUsage(what));
        }
        let key = self.authority.key().public_key();
        ra.certificate
            .verify_signed_by(key, Strength::Modern)
            .map_err(|_| EndpointError::NotIssuedByAuthority(what))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The certificate of the authority that issues here.
    #[must_use]
    pub fn authority(&self) -> &Certificate {
        self.authority.certificate()
    }

    /// The answer to GetCACaps (RFC 8894, 3.5.2), as `text/plain`. No empty line, no blank at a line's end, `\n` and not
    /// `\r\n`: each of these has broken a client. SHA-384 is there because strongSwan before 5.9.11 sees AES only with it.
    #[must_use]
    pub fn capabilities(&self) -> &'static str {
        match self.compatibility {
            Compatibility::Modern => {
                "AES\nPOSTPKIOperation\nSCEPStandard\nSHA-256\nSHA-384\nSHA-512\n"
            }
            Compatibility::Compatible => {
                "AES\nDES3\nPOSTPKIOperation\nSCEPStandard\nSHA-1\nSHA-256\nSHA-384\nSHA-512\n"
            }
        }
    }

    /// The answer to GetCACert (RFC 8894, 4.2.1). Without a registration authority it is one bare certificate: Apple's
    /// client takes a bundle for a sign that there are registration authorities. With one: RAs, the authority, the root.
    #[must_use]
    pub fn authorities(&self) -> AuthorityResponse {
        let ras: &[&Certificate] = match &self.mode {
            Mode::AuthorityOnly => {
                return AuthorityResponse {
                    content_type: "application/x-x509-ca-cert",
                    body: self.authority().der().to_vec(),
                };
            }
            Mode::OneRa(ra) => &[&ra.certificate],
            Mode::SplitRa {
                signing,
                encryption,
            } => &[&signing.certificate, &encryption.certificate],
        };
        let bundle: Vec<&Certificate> = ras
            .iter()
            .copied()
            .chain([self.authority()])
            .chain(&self.above)
            .collect();
        AuthorityResponse {
            content_type: "application/x-x509-ca-ra-cert",
            body: cms::certificates_only(&bundle),
        }
    }

    /// The certificate whose fingerprint a device is given to recognise this endpoint by: the root of the bundle, or the
    /// one certificate.
    #[must_use]
    pub fn anchor(&self) -> &Certificate {
        match self.mode {
            Mode::AuthorityOnly => self.authority(),
            Mode::OneRa(_) | Mode::SplitRa { .. } => self.above.last().unwrap_or(self.authority()),
        }
    }

    fn recipient(&self) -> (&Certificate, &PrivateKey) {
        match &self.mode {
            Mode::AuthorityOnly => (self.authority.certificate(), self.authority.key()),
            Mode::OneRa(ra) | Mode::SplitRa { encryption: ra, .. } => (&ra.certificate, &ra.key),
        }
    }

    fn signer(&self) -> (&Certificate, &PrivateKey) {
        match &self.mode {
            Mode::AuthorityOnly => (self.authority.certificate(), self.authority.key()),
            Mode::OneRa(ra) | Mode::SplitRa { signing: ra, .. } => (&ra.certificate, &ra.key),
        }
    }
}
