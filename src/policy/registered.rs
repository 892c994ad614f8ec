//! Whether partners and tenants must be registered, and how well partners must protect data. What they are, `registry`
//! knows.

use super::program::Program;

/// What can be asked to be registered.
pub(super) const WORDS: [&str; 2] = ["partner", "tenant"];

impl Program {
    /// Whether a partner that is not registered may ask nothing.
    #[must_use]
    pub fn registers_partners(&self) -> bool {
        self.model.registered.iter().any(|word| &**word == "partner")
    }

    /// Whether a tenant that is not registered is not served.
    #[must_use]
    pub fn registers_tenants(&self) -> bool {
        self.model.registered.iter().any(|word| &**word == "tenant")
    }

    /// The least attested level of partners.
    #[must_use]
    pub fn partner_level(&self) -> u8 {
        self.model.partner_level
    }
}
