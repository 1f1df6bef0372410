//! The description, the owners and the reviewers of an integration. They are for the identity-governance product; no
//! connector sees them.

use serde::{Deserialize, Serialize};

/// The most reviewers of one item of access.
pub const MOST_REVIEWERS: u32 = 10;

/// The description, the owners and the reviewers of an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct About {
    /// Its purpose.
    #[serde(default)]
    pub description: String,
    /// The responsible person: a name or an e-mail address.
    #[serde(default)]
    pub owner: String,
    /// Other responsible persons.
    #[serde(default)]
    pub secondary_owners: Vec<String>,
    /// The reviewers of its access.
    #[serde(default)]
    pub review: Review,
}

/// The reviewers of the access that an integration reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Review {
    /// Kinds of reviewers in order of preference: the first one that exists is asked.
    #[serde(default)]
    pub precedence: Vec<Reviewer>,
    /// The number of reviewers that are asked.
    #[serde(default)]
    pub reviewers: Option<u32>,
}

/// A kind of reviewer of the identity-governance product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Reviewer {
    FirstLineManager,
    BusinessOwner,
    RiskManager,
    ApplicationOwner,
}

impl Reviewer {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::FirstLineManager, Self::BusinessOwner, Self::RiskManager, Self::ApplicationOwner];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstLineManager => "first-line-manager",
            Self::BusinessOwner => "business-owner",
            Self::RiskManager => "risk-manager",
            Self::ApplicationOwner => "application-owner",
        }
    }

    /// Its title on pages.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::FirstLineManager => "First-line manager",
            Self::BusinessOwner => "Business owner",
            Self::RiskManager => "Risk manager",
            Self::ApplicationOwner => "Application owner",
        }
    }

    /// The reviewer with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reviewer| reviewer.name() == name)
    }
}
