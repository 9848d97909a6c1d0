//! `com.apple.security.scep`: the device makes a key and gets a certificate for it (Apple, "SCEP").

use plist::{Dictionary, Value};

use crate::document::{FieldError, Fields};
use crate::secret::Challenge;

/// One relative distinguished name: pairs of type (`CN`, `O`, `OU`, `C`, `L`, `ST` or a dotted OID) and value.
pub type Rdn = Vec<(String, String)>;

/// Settings of a SCEP payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScepPayload {
    /// `URL`, http or https; the device appends `?operation=…`.
    pub url: String,
    /// `Name`: sent as `message=` of GetCACert and GetCACaps.
    pub name: Option<String>,
    /// `Subject` that the device asks for, most general first.
    pub subject: Vec<Rdn>,
    /// `Challenge`: becomes the challengePassword of the request.
    pub challenge: Option<Challenge>,
    /// `Keysize` in bits: 2048 or 4096. Apple's default is 1024, so it is always written.
    pub key_bits: u16,
    /// `Key Usage`: 1 signing, 4 encryption, 5 both.
    pub key_usage: u8,
    /// `Retries`: how often the device polls while the answer is PENDING. `None`: Apple's default of 3.
    pub retries: Option<u32>,
    /// `RetryDelay` in seconds between polls. `None`: Apple's default of 10.
    pub retry_delay: Option<u32>,
    /// `CAFingerprint`: SHA-1 of the authority's certificate, 20 bytes; for SCEP without TLS.
    pub ca_fingerprint: Option<Vec<u8>>,
    /// `SubjectAltName`.
    pub subject_alt_name: SubjectAltName,
    /// `KeyIsExtractable` (macOS): whether the key may leave the keychain. Apple's default is true, so it is always written.
    pub key_is_extractable: bool,
}

/// Alternative names that the device asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubjectAltName {
    /// `rfc822Name`
    pub emails: Vec<String>,
    /// `dNSName`
    pub dns_names: Vec<String>,
    /// `uniformResourceIdentifier`
    pub uris: Vec<String>,
    /// `ntPrincipalName`
    pub nt_principals: Vec<String>,
}

impl ScepPayload {
    pub(super) const TYPE: &'static str = "com.apple.security.scep";

    /// An RSA-2048 key for signing and encryption that stays on the device: what over-the-air enrollment needs.
    #[must_use]
    pub fn new(url: impl Into<String>, challenge: Challenge) -> Self {
        Self {
            url: url.into(),
            name: None,
            subject: Vec::new(),
            challenge: Some(challenge),
            key_bits: 2048,
            key_usage: 5,
            retries: None,
            retry_delay: None,
            ca_fingerprint: None,
            subject_alt_name: SubjectAltName::default(),
            key_is_extractable: false,
        }
    }

    pub(super) fn put(&self, entries: &mut Dictionary) {
        let mut content = Dictionary::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                content.insert(key.to_owned(), value);
            }
        };
        put("URL", Some(self.url.as_str().into()));
        put("Name", self.name.as_deref().map(Value::from));
        put(
            "Subject",
            (!self.subject.is_empty()).then(|| subject_value(&self.subject)),
        );
        let challenge = self.challenge.as_ref();
        put(
            "Challenge",
            challenge.map(|challenge| challenge.expose().into()),
        );
        put("Keysize", Some(self.key_bits.into()));
        put("Key Type", Some("RSA".into()));
        put("Key Usage", Some(self.key_usage.into()));
        put("Retries", self.retries.map(Value::from));
        put("RetryDelay", self.retry_delay.map(Value::from));
        put(
            "CAFingerprint",
            self.ca_fingerprint.clone().map(Value::Data),
        );
        put("SubjectAltName", self.subject_alt_name.to_value());
        put("KeyIsExtractable", Some(self.key_is_extractable.into()));
        entries.insert("PayloadContent".to_owned(), Value::Dictionary(content));
    }

    pub(super) fn take(fields: &mut Fields) -> Result<Self, FieldError> {
        fields.rename(Self::TYPE);
        let content = fields.dictionary("PayloadContent")?;
        let content = fields.required("PayloadContent", content)?;
        let mut fields = Fields::new(Self::TYPE, content);
        let url = fields.filled("URL")?;
        let url = fields.required("URL", url)?;
        if fields.text("Key Type")?.is_some_and(|kind| kind != "RSA") {
            return Err(fields.invalid("Key Type", "must be RSA"));
        }
        Ok(Self {
            url,
            name: fields.filled("Name")?,
            subject: take_subject(&mut fields)?,
            challenge: fields.filled("Challenge")?.map(Challenge::new),
            key_bits: number(&mut fields, "Keysize")?.unwrap_or(1024),
            key_usage: number(&mut fields, "Key Usage")?.unwrap_or(0),
            retries: number(&mut fields, "Retries")?,
            retry_delay: number(&mut fields, "RetryDelay")?,
            ca_fingerprint: fields.data("CAFingerprint")?,
            subject_alt_name: SubjectAltName::take(&mut fields)?,
            key_is_extractable: fields.boolean("KeyIsExtractable")?.unwrap_or(true),
        })
    }
}

fn number<T: TryFrom<i64>>(
    fields: &mut Fields,
    key: &'static str,
) -> Result<Option<T>, FieldError> {
    let number = fields.integer(key)?.map(T::try_from);
    number
        .transpose()
        .map_err(|_| fields.invalid(key, "is out of range"))
}

/// Three levels of arrays: names, their pairs, type and value. A wrong level makes iOS refuse the profile without a word.
fn subject_value(subject: &[Rdn]) -> Value {
    let pair = |(kind, value): &(String, String)| {
        Value::Array(vec![kind.as_str().into(), value.as_str().into()])
    };
    let rdn = |rdn: &Rdn| Value::Array(rdn.iter().map(pair).collect());
    Value::Array(subject.iter().map(rdn).collect())
}

fn take_subject(fields: &mut Fields) -> Result<Vec<Rdn>, FieldError> {
    let pair = |value: Value| {
        let texts = value.into_array()?.into_iter().map(Value::into_string);
        let [kind, value] = <[String; 2]>::try_from(texts.collect::<Option<Vec<_>>>()?).ok()?;
        Some((kind, value))
    };
    let rdn = |value: Value| {
        value
            .into_array()?
            .into_iter()
            .map(pair)
            .collect::<Option<Rdn>>()
    };
    let names = fields.array("Subject")?.unwrap_or_default();
    let subject: Option<Vec<Rdn>> = names.into_iter().map(rdn).collect();
    subject.ok_or_else(|| {
        fields.invalid(
            "Subject",
            "must be an array of arrays of [type, value] pairs",
        )
    })
}

impl SubjectAltName {
    fn to_value(&self) -> Option<Value> {
        let kinds = [
            ("rfc822Name", &self.emails),
            ("dNSName", &self.dns_names),
            ("uniformResourceIdentifier", &self.uris),
            ("ntPrincipalName", &self.nt_principals),
        ];
        let mut entries = Dictionary::new();
        for (key, names) in kinds {
            // One name is written as a string: older systems know that form alone.
            let value = match names.as_slice() {
                [] => continue,
                [name] => name.as_str().into(),
                names => Value::Array(names.iter().map(|name| name.as_str().into()).collect()),
            };
            entries.insert(key.to_owned(), value);
        }
        (!entries.is_empty()).then_some(Value::Dictionary(entries))
    }

    fn take(fields: &mut Fields) -> Result<Self, FieldError> {
        let Some(entries) = fields.dictionary("SubjectAltName")? else {
            return Ok(Self::default());
        };
        let mut fields = Fields::new(ScepPayload::TYPE, entries);
        Ok(Self {
            emails: one_or_more(&mut fields, "rfc822Name")?,
            dns_names: one_or_more(&mut fields, "dNSName")?,
            uris: one_or_more(&mut fields, "uniformResourceIdentifier")?,
            nt_principals: one_or_more(&mut fields, "ntPrincipalName")?,
        })
    }
}

fn one_or_more(fields: &mut Fields, key: &'static str) -> Result<Vec<String>, FieldError> {
    if fields.is_text(key) {
        return Ok(fields.text(key)?.into_iter().collect());
    }
    fields.texts(key)
}
