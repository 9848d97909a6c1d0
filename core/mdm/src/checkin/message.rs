//! The message types of check-in, one structure each.

use std::fmt;

use plist::{Dictionary, Value};

use crate::document::{FieldError, Fields};
use crate::secret::{BootstrapToken, DeviceToken, DigestResponse, PushMagic, UnlockToken};

/// What a check-in message says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// The management profile is being installed or replaced. Only a TokenUpdate proves that it was.
    Authenticate(Authenticate),
    /// The tokens by which this channel can be woken; the first one completes the enrollment.
    TokenUpdate(TokenUpdate),
    /// The management profile was removed. Sent once, best effort.
    CheckOut {
        /// `Topic` of the management profile.
        topic: Option<String>,
    },
    /// A network or mobile user of a Mac logs in (not supported yet: answer 410).
    UserAuthenticate(UserAuthenticate),
    /// Hands over a bootstrap token, or takes it back.
    SetBootstrapToken(SetBootstrapToken),
    /// Asks for the bootstrap token.
    GetBootstrapToken {
        /// `AwaitingConfiguration`.
        awaiting_configuration: Option<bool>,
    },
    /// A request of declarative device management.
    DeclarativeManagement(DeclarativeManagement),
    /// Asks for a token of another service.
    GetToken(GetToken),
    /// Asks for what an erased device needs to come back.
    ReturnToService,
    /// A type that this server does not know.
    Unknown {
        /// `MessageType` as it came; not fit for a log without escaping.
        message_type: String,
    },
}

/// Apple, "AuthenticateRequest".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authenticate {
    /// `Topic` of the management profile.
    pub topic: String,
    /// `DeviceName`, chosen by its owner.
    pub device_name: Option<String>,
    /// `Model`, such as `iMac15,1` or `MD786X`.
    pub model: Option<String>,
    /// `ModelName`, such as `iPad`.
    pub model_name: Option<String>,
    /// `OSVersion`, such as `17.5.1`.
    pub os_version: Option<String>,
    /// `BuildVersion`, such as `21F90`.
    pub build_version: Option<String>,
    /// `ProductName`, such as `iPhone14,5`.
    pub product_name: Option<String>,
    /// `SerialNumber`.
    pub serial_number: Option<String>,
    /// `IMEI`, with or without spaces.
    pub imei: Option<String>,
    /// `MEID`.
    pub meid: Option<String>,
}

/// Apple, "TokenUpdateRequest".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUpdate {
    /// `Topic` of the management profile.
    pub topic: String,
    /// `Token`.
    pub token: DeviceToken,
    /// `PushMagic`.
    pub push_magic: PushMagic,
    /// `UnlockToken`. Absent (or empty) means unchanged, never deleted.
    pub unlock_token: Option<UnlockToken>,
    /// `AwaitingConfiguration`. Absent means unchanged.
    pub awaiting_configuration: Option<bool>,
}

/// Apple, "UserAuthenticateRequest".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAuthenticate {
    /// `DigestResponse`: absent from the first of the two requests.
    pub digest_response: Option<DigestResponse>,
}

/// Apple, "SetBootstrapTokenRequest".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBootstrapToken {
    /// `BootstrapToken`: absent (or empty) means that the stored one is to be deleted.
    pub token: Option<BootstrapToken>,
    /// `AwaitingConfiguration`.
    pub awaiting_configuration: Option<bool>,
}

/// Apple, "DeclarativeManagementRequest".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclarativeManagement {
    /// `Endpoint`: `tokens`, `declaration-items`, `status` or `declaration/<kind>/<identifier>`.
    pub endpoint: String,
    /// `Data`: a JSON document, for `status`.
    pub data: Option<Vec<u8>>,
}

/// Apple, "GetTokenRequest".
#[derive(Clone, PartialEq)]
pub struct GetToken {
    /// `TokenServiceType`, such as `com.apple.maid`.
    pub service: String,
    /// `TokenParameters`.
    pub parameters: Dictionary,
}

impl fmt::Debug for GetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values stay out: a watch's pairing token is among them.
        f.debug_struct("GetToken")
            .field("service", &self.service)
            .field("keys", &self.parameters.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Message {
    /// The message type as an error may name it, whatever the peer wrote.
    pub(super) fn protocol_name(message_type: &str) -> &'static str {
        const KNOWN: [&str; 9] = [
            "Authenticate",
            "TokenUpdate",
            "CheckOut",
            "UserAuthenticate",
            "SetBootstrapToken",
            "GetBootstrapToken",
            "DeclarativeManagement",
            "GetToken",
            "ReturnToService",
        ];
        KNOWN
            .into_iter()
            .find(|&known| known == message_type)
            .unwrap_or("check-in")
    }

    /// `MessageType` of this message.
    #[must_use]
    pub fn message_type(&self) -> &str {
        match self {
            Self::Authenticate(_) => "Authenticate",
            Self::TokenUpdate(_) => "TokenUpdate",
            Self::CheckOut { .. } => "CheckOut",
            Self::UserAuthenticate(_) => "UserAuthenticate",
            Self::SetBootstrapToken(_) => "SetBootstrapToken",
            Self::GetBootstrapToken { .. } => "GetBootstrapToken",
            Self::DeclarativeManagement(_) => "DeclarativeManagement",
            Self::GetToken(_) => "GetToken",
            Self::ReturnToService => "ReturnToService",
            Self::Unknown { message_type } => message_type,
        }
    }

    pub(super) fn take(message_type: String, fields: &mut Fields) -> Result<Self, FieldError> {
        Ok(match message_type.as_str() {
            "Authenticate" => Self::Authenticate(Authenticate::take(fields)?),
            "TokenUpdate" => Self::TokenUpdate(TokenUpdate::take(fields)?),
            "CheckOut" => Self::CheckOut {
                topic: fields.filled("Topic")?,
            },
            "UserAuthenticate" => Self::UserAuthenticate(UserAuthenticate {
                digest_response: fields.filled("DigestResponse")?.map(DigestResponse::new),
            }),
            "SetBootstrapToken" => Self::SetBootstrapToken(SetBootstrapToken {
                token: non_empty(fields.data("BootstrapToken")?).map(BootstrapToken::new),
                awaiting_configuration: fields.boolean("AwaitingConfiguration")?,
            }),
            "GetBootstrapToken" => Self::GetBootstrapToken {
                awaiting_configuration: fields.boolean("AwaitingConfiguration")?,
            },
            "DeclarativeManagement" => {
                let endpoint = fields.filled("Endpoint")?;
                Self::DeclarativeManagement(DeclarativeManagement {
                    endpoint: fields.required("Endpoint", endpoint)?,
                    data: fields.data("Data")?,
                })
            }
            "GetToken" => {
                let service = fields.filled("TokenServiceType")?;
                Self::GetToken(GetToken {
                    service: fields.required("TokenServiceType", service)?,
                    parameters: fields.dictionary("TokenParameters")?.unwrap_or_default(),
                })
            }
            "ReturnToService" => Self::ReturnToService,
            _ => Self::Unknown { message_type },
        })
    }

    pub(super) fn put(&self, out: &mut Dictionary) {
        put(out, "MessageType", Some(self.message_type().to_owned()));
        match self {
            Self::Authenticate(authenticate) => authenticate.put(out),
            Self::TokenUpdate(update) => update.put(out),
            Self::CheckOut { topic } => put(out, "Topic", topic.clone()),
            Self::UserAuthenticate(user) => {
                let response = user.digest_response.as_ref();
                put(
                    out,
                    "DigestResponse",
                    response.map(|secret| secret.expose().to_owned()),
                );
            }
            Self::SetBootstrapToken(set) => {
                let token = set
                    .token
                    .as_ref()
                    .map(|token| Value::Data(token.expose().to_vec()));
                put(out, "BootstrapToken", token);
                put(out, "AwaitingConfiguration", set.awaiting_configuration);
            }
            Self::GetBootstrapToken {
                awaiting_configuration,
            } => put(out, "AwaitingConfiguration", *awaiting_configuration),
            Self::DeclarativeManagement(request) => {
                put(out, "Endpoint", Some(request.endpoint.clone()));
                put(out, "Data", request.data.clone().map(Value::Data));
            }
            Self::GetToken(request) => {
                put(out, "TokenServiceType", Some(request.service.clone()));
                put(out, "TokenParameters", Some(request.parameters.clone()));
            }
            Self::ReturnToService | Self::Unknown { .. } => {}
        }
    }
}

/// Longest device token, in bytes: Apple's have 32, and may grow.
const MAX_TOKEN: usize = 100;
/// Longest unlock token, in bytes: those of iPhones have one to two thousand.
const MAX_UNLOCK_TOKEN: usize = 16 * 1024;

impl Authenticate {
    fn take(fields: &mut Fields) -> Result<Self, FieldError> {
        let topic = fields.label("Topic")?;
        Ok(Self {
            topic: fields.required("Topic", topic)?,
            device_name: fields.label("DeviceName")?,
            model: fields.label("Model")?,
            model_name: fields.label("ModelName")?,
            os_version: fields.label("OSVersion")?,
            build_version: fields.label("BuildVersion")?,
            product_name: fields.label("ProductName")?,
            serial_number: fields.label("SerialNumber")?,
            imei: fields.label("IMEI")?,
            meid: fields.label("MEID")?,
        })
    }

    fn put(&self, out: &mut Dictionary) {
        put(out, "Topic", Some(self.topic.clone()));
        let texts = [
            ("DeviceName", &self.device_name),
            ("Model", &self.model),
            ("ModelName", &self.model_name),
            ("OSVersion", &self.os_version),
            ("BuildVersion", &self.build_version),
            ("ProductName", &self.product_name),
            ("SerialNumber", &self.serial_number),
            ("IMEI", &self.imei),
            ("MEID", &self.meid),
        ];
        for (key, text) in texts {
            put(out, key, text.clone());
        }
    }
}

impl TokenUpdate {
    fn take(fields: &mut Fields) -> Result<Self, FieldError> {
        let topic = fields.label("Topic")?;
        let topic = fields.required("Topic", topic)?;
        let token = fields.bounded_data("Token", MAX_TOKEN)?;
        let token = fields.required("Token", token)?;
        let push_magic = fields.label("PushMagic")?;
        Ok(Self {
            topic,
            token: DeviceToken::new(token),
            push_magic: PushMagic::new(fields.required("PushMagic", push_magic)?),
            unlock_token: fields
                .bounded_data("UnlockToken", MAX_UNLOCK_TOKEN)?
                .map(UnlockToken::new),
            awaiting_configuration: fields.boolean("AwaitingConfiguration")?,
        })
    }

    fn put(&self, out: &mut Dictionary) {
        put(out, "Topic", Some(self.topic.clone()));
        put(
            out,
            "Token",
            Some(Value::Data(self.token.expose().to_vec())),
        );
        put(out, "PushMagic", Some(self.push_magic.expose().to_owned()));
        let unlock_token = self.unlock_token.as_ref();
        put(
            out,
            "UnlockToken",
            unlock_token.map(|token| Value::Data(token.expose().to_vec())),
        );
        put(out, "AwaitingConfiguration", self.awaiting_configuration);
    }
}

fn non_empty(data: Option<Vec<u8>>) -> Option<Vec<u8>> {
    data.filter(|data| !data.is_empty())
}

fn put(out: &mut Dictionary, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        out.insert(key.to_owned(), value.into());
    }
}
