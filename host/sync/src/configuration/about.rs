//! What people say of an integration: who answers for it, and who reviews the access it shows. Kept for the
//! identity-governance product; no connector sees it.

use serde::{Deserialize, Serialize};

/// The most reviewers an item of access gets.
pub const MOST_REVIEWERS: u32 = 10;

/// What people say of an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct About {
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Who answers for it: a name or an e-mail address.
    #[serde(default)]
    pub owner: String,
    /// Who else does.
    #[serde(default)]
    pub secondary_owners: Vec<String>,
    /// Who reviews.
    #[serde(default)]
    pub review: Review,
}

/// Who reviews the access that an integration shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Review {
    /// Who is asked, the first one that there is.
    #[serde(default)]
    pub precedence: Vec<Reviewer>,
    /// How many are asked.
    #[serde(default)]
    pub reviewers: Option<u32>,
}

/// A kind of reviewer, as the consuming product knows them.
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

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstLineManager => "first-line-manager",
            Self::BusinessOwner => "business-owner",
            Self::RiskManager => "risk-manager",
            Self::ApplicationOwner => "application-owner",
        }
    }

    /// As it is shown.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::FirstLineManager => "First-line manager",
            Self::BusinessOwner => "Business owner",
            Self::RiskManager => "Risk manager",
            Self::ApplicationOwner => "Application owner",
        }
    }

    /// The one that is written so.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reviewer| reviewer.name() == name)
    }
}
