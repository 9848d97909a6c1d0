//! The smallest enrollment approval: iPhones enroll at once, iPads wait for somebody, nothing else enrolls.

use lanyard_sdk::{
    EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict, NoSettings, Plugin, Reason,
    Unavailable,
};

/// The approval.
pub struct PhonesOnly;

impl Plugin for PhonesOnly {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl EnrollmentApproval for PhonesOnly {
    fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, Unavailable> {
        let product = question.device.fact("product").unwrap_or_default();
        let because = |code, message| Reason::new(code, message).relying_on("product", product);
        Ok(if product.starts_with("iPhone") {
            EnrollmentVerdict::allow()
        } else if product.starts_with("iPad") {
            because("tablet", "Somebody will look at your request.").pending()
        } else {
            because("not-a-phone", "Only iPhones are enrolled here.").deny()
        })
    }
}

lanyard_sdk::export!(PhonesOnly: enrollment_approval; grants: {});

#[cfg(test)]
mod tests {
    use lanyard_sdk::{Attestation, Decision, Device, Fact, KnownPerson};

    use super::*;

    fn decide(product: &str) -> EnrollmentVerdict {
        let question = EnrollmentQuestion {
            decision: Decision::example(),
            person: KnownPerson {
                directory: "local-users".into(),
                id: "ada".into(),
                display_name: "Ada".into(),
                attributes: Vec::new(),
            },
            device: Device {
                udid: "00008120-0000000000000001".into(),
                facts: vec![Fact::new("product", product)],
            },
            attestation: Attestation::Apple,
            facts: Vec::new(),
        };
        PhonesOnly.decide(question).expect("it depends on nothing")
    }

    #[test]
    fn it_goes_by_the_product() {
        assert!(matches!(decide("iPhone15,2"), EnrollmentVerdict::Allow(_)));
        assert!(matches!(decide("iPad13,1"), EnrollmentVerdict::Pending(_)));
        assert!(matches!(decide("Mac14,2"), EnrollmentVerdict::Deny(_)));
    }
}
