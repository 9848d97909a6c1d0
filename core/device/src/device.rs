//! A device before it is managed: a model, its factory identity and what it trusts.

use lanyard_mdm::ota::DeviceAttributes;
use lanyard_mdm::{Challenge, IdentityError, Sender};

use crate::factory::Identity;
use crate::http::Client;
use crate::model::{Facts, Model};

/// Octets of an unlock token; Apple's have one to four thousand.
const UNLOCK_TOKEN_LENGTH: usize = 1024;

/// A simulated device.
pub struct Device {
    /// What it is and remembers.
    pub model: Model,
    /// Its identity from the factory, which signs in phase 2.
    pub factory: Identity,
    /// Its connections, and the authorities that it trusts.
    pub client: Client,
}

impl Device {
    /// An iPhone as it leaves the shop. The same seed gives the same UDID, serial number and so on.
    #[must_use]
    pub fn new(seed: [u8; 16], factory: Identity, client: Client) -> Device {
        Device::with(Facts::iphone(seed), factory, client)
    }

    /// A device with these facts, and nothing on it.
    #[must_use]
    pub fn with(facts: Facts, factory: Identity, client: Client) -> Device {
        let unlock_token: [u8; UNLOCK_TOKEN_LENGTH] = rand::random();
        Device {
            model: Model::new(facts, &unlock_token),
            factory,
            client,
        }
    }

    /// Its UDID.
    #[must_use]
    pub fn udid(&self) -> &str {
        &self.model.facts.udid
    }

    /// What it tells of itself in phase 2: of the attributes that were asked for, those that it has.
    #[must_use]
    pub fn attributes(&self, asked: &[String], challenge: Option<Challenge>) -> DeviceAttributes {
        let facts = &self.model.facts;
        let when_asked = |name: &str, value: Option<&str>| {
            let is_asked = asked.iter().any(|asked| asked == name);
            value.filter(|_| is_asked).map(str::to_owned)
        };
        DeviceAttributes {
            udid: facts.udid.clone(),
            serial: when_asked("SERIAL", Some(&facts.serial_number)),
            product: when_asked("PRODUCT", Some(&facts.product_name)),
            version: when_asked("VERSION", Some(&facts.build_version)),
            imei: when_asked("IMEI", facts.imei.as_deref()),
            meid: when_asked("MEID", facts.meid.as_deref()),
            iccid: None,
            mac_address: when_asked("MAC_ADDRESS_EN0", Some(&facts.wifi_mac)),
            device_name: when_asked("DEVICE_NAME", Some(&facts.device_name)),
            challenge,
        }
    }

    /// Who speaks in check-in and connect messages.
    ///
    /// # Errors
    /// A UDID that no server would take.
    pub fn sender(&self) -> Result<Sender, IdentityError> {
        Sender::device(self.udid())
    }
}
