//! EraseDevice.

use std::fmt;

use plist::{Dictionary, Value};

use crate::fields::{Fields, put};
use crate::{CommandError, Pin};

/// Erases the device. Apple: "Erase Device Command". A device that obeys may never answer.
#[derive(Debug, Clone, Default)]
pub struct EraseDevice {
    /// Keep the mobile data plan (iOS 11, watchOS). The device's default is to remove it.
    pub preserve_data_plan: Option<bool>,
    /// Do not offer set-up from a device nearby on the next start (iOS 11.3; before iOS 14 this must be the only key).
    pub disallow_proximity_setup: Option<bool>,
    /// Unlocks an Intel Mac afterwards (macOS 10.8; needed where `PINRequiredForEraseDevice` is true).
    pub pin: Option<Pin>,
    /// What to do where erasing by forgetting the keys is not possible (macOS 12).
    pub obliteration_behavior: Option<ObliterationBehavior>,
    /// Enroll again by itself after erasing (iOS 17, tvOS 18).
    pub return_to_service: Option<ReturnToService>,
}

/// What a Mac does if "Erase All Content and Settings" is not possible (macOS 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObliterationBehavior {
    /// `Default`: answer with an error, then erase in the old way.
    #[default]
    Default,
    /// `DoNotObliterate`: answer with an error and leave the Mac as it is.
    DoNotObliterate,
    /// `ObliterateWithWarning`: acknowledge, then erase in the old way.
    ObliterateWithWarning,
    /// `Always`: erase in the old way from the start.
    Always,
}

/// How a device comes back after erasing, without anybody touching it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReturnToService {
    /// Whether it does.
    pub enabled: bool,
    /// A profile with a Wi-Fi payload (needed unless the device is on Ethernet).
    pub wifi_profile: Option<Vec<u8>>,
    /// The enrollment profile (needed unless Automated Device Enrollment supplies it).
    pub mdm_profile: Option<Vec<u8>>,
}

impl ObliterationBehavior {
    const ALL: [Self; 4] = [
        Self::Default,
        Self::DoNotObliterate,
        Self::ObliterateWithWarning,
        Self::Always,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::DoNotObliterate => "DoNotObliterate",
            Self::ObliterateWithWarning => "ObliterateWithWarning",
            Self::Always => "Always",
        }
    }
}

impl EraseDevice {
    /// The name on the wire.
    pub const REQUEST_TYPE: &'static str = "EraseDevice";

    pub(crate) fn write(&self, dictionary: &mut Dictionary) {
        put(dictionary, "PreserveDataPlan", self.preserve_data_plan);
        put(
            dictionary,
            "DisallowProximitySetup",
            self.disallow_proximity_setup,
        );
        put(dictionary, "PIN", self.pin.as_ref().map(Pin::reveal));
        put(
            dictionary,
            "ObliterationBehavior",
            self.obliteration_behavior.map(ObliterationBehavior::name),
        );
        let return_to_service = self.return_to_service.as_ref();
        put(
            dictionary,
            "ReturnToService",
            return_to_service.map(ReturnToService::to_dictionary),
        );
    }

    pub(crate) fn read(dictionary: &Dictionary) -> Result<Self, CommandError> {
        let fields = Fields::of(Self::REQUEST_TYPE, dictionary);
        Ok(Self {
            preserve_data_plan: fields.boolean("PreserveDataPlan")?,
            disallow_proximity_setup: fields.boolean("DisallowProximitySetup")?,
            pin: Pin::of(Self::REQUEST_TYPE, fields.string("PIN", Pin::EXPECTED)?)?,
            obliteration_behavior: obliteration_behavior(fields)?,
            return_to_service: fields
                .dictionary("ReturnToService")?
                .map(ReturnToService::read)
                .transpose()?,
        })
    }
}

fn obliteration_behavior(fields: Fields<'_>) -> Result<Option<ObliterationBehavior>, CommandError> {
    const KEY: &str = "ObliterationBehavior";
    const EXPECTED: &str = "Default, DoNotObliterate, ObliterateWithWarning or Always";
    let Some(word) = fields.string(KEY, EXPECTED)? else {
        return Ok(None);
    };
    let known = ObliterationBehavior::ALL
        .into_iter()
        .find(|behavior| behavior.name() == word);
    known.map(Some).ok_or(CommandError::Wrong {
        request_type: EraseDevice::REQUEST_TYPE,
        key: KEY,
        expected: EXPECTED,
    })
}

impl ReturnToService {
    fn to_dictionary(&self) -> Value {
        let mut dictionary = Dictionary::new();
        dictionary.insert("Enabled".to_owned(), self.enabled.into());
        let data = |octets: &Option<Vec<u8>>| octets.clone().map(Value::Data);
        put(&mut dictionary, "WiFiProfileData", data(&self.wifi_profile));
        put(&mut dictionary, "MDMProfileData", data(&self.mdm_profile));
        Value::Dictionary(dictionary)
    }

    fn read(fields: Fields<'_>) -> Result<Self, CommandError> {
        const PROFILE: &str = "data: a configuration profile";
        let enabled = fields.boolean("Enabled")?;
        Ok(Self {
            enabled: fields.required("Enabled", "a boolean in ReturnToService", enabled)?,
            wifi_profile: fields.data("WiFiProfileData", PROFILE)?.map(<[u8]>::to_vec),
            mdm_profile: fields.data("MDMProfileData", PROFILE)?.map(<[u8]>::to_vec),
        })
    }
}

/// Profiles hold passwords and keys, so only their sizes are shown.
impl fmt::Debug for ReturnToService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |profile: &Option<Vec<u8>>| profile.as_ref().map(Vec::len);
        f.debug_struct("ReturnToService")
            .field("enabled", &self.enabled)
            .field("wifi_profile_bytes", &size(&self.wifi_profile))
            .field("mdm_profile_bytes", &size(&self.mdm_profile))
            .finish()
    }
}
