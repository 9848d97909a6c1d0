//! What a device says about itself.

use plist::{Dictionary, Value};
use serde::{Deserialize, Serialize};

/// The device's identifiers and properties, as Authenticate, the phase-2 message and DeviceInformation tell them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// `UDID`.
    pub udid: String,
    /// `SerialNumber`.
    pub serial_number: String,
    /// `DeviceName`, which its owner chose.
    pub device_name: String,
    /// `ProductName`, for instance `iPhone15,2`.
    pub product_name: String,
    /// `Model`, for instance `MQ0X3`.
    pub model: String,
    /// `ModelName`, for instance `iPhone`.
    pub model_name: String,
    /// `OSVersion`.
    pub os_version: String,
    /// `BuildVersion`.
    pub build_version: String,
    /// `IMEI`; none on hardware without a modem.
    pub imei: Option<String>,
    /// `MEID`; none on hardware without a modem.
    pub meid: Option<String>,
    /// `DeviceCapacity`, in GiB.
    pub capacity: f64,
    /// `AvailableDeviceCapacity`, in GiB.
    pub available_capacity: f64,
    /// `BatteryLevel`, from 0 to 1.
    pub battery_level: f64,
    /// `WiFiMAC`.
    pub wifi_mac: String,
    /// `BluetoothMAC`.
    pub bluetooth_mac: String,
}

impl Facts {
    /// An iPhone whose identifiers are made from `seed`, in the forms that Apple's have: the same seed, the same device.
    pub fn iphone(seed: [u8; 16]) -> Facts {
        let mac = |last: u8| {
            let [a, b, ..] = seed;
            let [.., y, z] = seed;
            // The bit 2 of the first octet marks an address that no manufacturer assigned.
            format!("02:{a:02x}:{b:02x}:{y:02x}:{z:02x}:{last:02x}")
        };
        let ecid = u64::from_be_bytes(first(&seed)) & 0x001F_FFFF_FFFF_FFFF;
        Facts {
            udid: format!("00008120-{ecid:016X}"),
            serial_number: serial_number(&seed),
            device_name: "Simulated iPhone".to_owned(),
            product_name: "iPhone15,2".to_owned(),
            model: "MQ0X3".to_owned(),
            model_name: "iPhone".to_owned(),
            os_version: "17.6.1".to_owned(),
            build_version: "21G93".to_owned(),
            imei: Some(imei(&seed)),
            meid: Some(imei(&seed)[..14].to_owned()),
            capacity: 119.2,
            available_capacity: 87.5,
            battery_level: 0.75,
            wifi_mac: mac(1),
            bluetooth_mac: mac(2),
        }
    }

    /// The answers to DeviceInformation's queries; those that this device has no answer to are left out, as devices do.
    pub(super) fn answers<'a>(&self, queries: impl Iterator<Item = &'a str>) -> Dictionary {
        queries
            .filter_map(|query| Some((query.to_owned(), self.answer(query)?)))
            .collect()
    }

    fn answer(&self, query: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::from(text));
        match query {
            "UDID" => text(&self.udid),
            "SerialNumber" => text(&self.serial_number),
            "DeviceName" => text(&self.device_name),
            "ProductName" => text(&self.product_name),
            "Model" | "ModelNumber" => text(&self.model),
            "ModelName" => text(&self.model_name),
            "OSVersion" => text(&self.os_version),
            "BuildVersion" => text(&self.build_version),
            "IMEI" => self.imei.as_deref().and_then(text),
            "MEID" => self.meid.as_deref().and_then(text),
            "DeviceCapacity" => Some(self.capacity.into()),
            "AvailableDeviceCapacity" => Some(self.available_capacity.into()),
            "BatteryLevel" => Some(self.battery_level.into()),
            "WiFiMAC" => text(&self.wifi_mac),
            "BluetoothMAC" => text(&self.bluetooth_mac),
            "CellularTechnology" => Some(i64::from(self.imei.is_some()).into()),
            "IsSupervised"
            | "IsMultiUser"
            | "IsRoaming"
            | "IsCloudBackupEnabled"
            | "IsDeviceLocatorServiceEnabled"
            | "IsMDMLostModeEnabled"
            | "AwaitingConfiguration"
            | "DataRoamingEnabled"
            | "PersonalHotspotEnabled" => Some(false.into()),
            "TimeZone" => text("Europe/Berlin"),
            _ => None,
        }
    }
}

fn first(seed: &[u8; 16]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *seed;
    [a, b, c, d, e, f, g, h]
}

/// Ten letters and digits, without those that are taken for others.
fn serial_number(seed: &[u8; 16]) -> String {
    const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    seed[..10]
        .iter()
        .map(|octet| char::from(ALPHABET[usize::from(octet % 32)]))
        .collect()
}

/// Fifteen digits, the last one Luhn's check digit. The type allocation code 00-101717 is a test one.
fn imei(seed: &[u8; 16]) -> String {
    let [.., a, b, c, d] = *seed;
    let number = u32::from_be_bytes([a, b, c, d]) % 1_000_000;
    let digits = format!("00101717{number:06}");
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let digit = u32::from(digit - b'0');
            match index % 2 {
                0 => digit * 2 / 10 + digit * 2 % 10,
                _ => digit,
            }
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}
