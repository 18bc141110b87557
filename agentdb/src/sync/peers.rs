//! Whom a store speaks with, and how it knows them.

use std::collections::{BTreeMap, BTreeSet};

use super::error::SyncError;
use super::frame::SIGNATURE_BYTES;
use crate::ReplicaId;

/// An Ed25519 public key.
#[cfg(feature = "signed")]
pub type PublicKey = [u8; 32];

#[cfg(not(feature = "signed"))]
type PublicKey = [u8; 32];

/// Which devices a store speaks with: all, or those that were added. A revoked one never.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// None: all.
    accepted: Option<BTreeMap<u64, Option<PublicKey>>>,
    revoked: BTreeSet<u64>,
}

impl Peers {
    /// Everyone, unsigned: for a network that is trusted.
    pub fn any() -> Self {
        Self::default()
    }

    /// Nobody, until devices are added.
    pub fn none() -> Self {
        Self {
            accepted: Some(BTreeMap::new()),
            revoked: BTreeSet::new(),
        }
    }

    /// Accepts a device whose frames need no signature.
    #[must_use]
    pub fn accept(mut self, device: ReplicaId) -> Self {
        let accepted = self.accepted.get_or_insert_with(BTreeMap::new);
        accepted.insert(device.get(), None);
        self
    }

    /// Accepts a device whose every frame is signed with this key.
    #[cfg(feature = "signed")]
    #[must_use]
    pub fn accept_signed(mut self, device: ReplicaId, key: PublicKey) -> Self {
        let accepted = self.accepted.get_or_insert_with(BTreeMap::new);
        accepted.insert(device.get(), Some(key));
        self
    }

    /// Refuses a device from now on, also on links that are up.
    #[must_use]
    pub fn revoke(mut self, device: ReplicaId) -> Self {
        self.revoked.insert(device.get());
        self
    }

    /// Checks that a frame may come from this device, and that it does.
    pub(super) fn check(
        &self,
        device: u64,
        signed: Option<(&[u8], &[u8])>,
    ) -> Result<(), SyncError> {
        let replica = ReplicaId::new(device);
        if self.revoked.contains(&device) {
            return Err(SyncError::RevokedPeer { replica });
        }
        let Some(accepted) = &self.accepted else {
            return Ok(());
        };
        match (accepted.get(&device), signed) {
            (None, _) => Err(SyncError::UnknownPeer { replica }),
            (Some(None), _) => Ok(()),
            (Some(Some(_)), None) => Err(SyncError::Signature {
                replica,
                cause: "it is not signed, and this device signs its frames",
            }),
            (Some(Some(key)), Some((content, signature))) => verify(key, content, signature)
                .map_err(|cause| SyncError::Signature { replica, cause }),
        }
    }
}

#[cfg(feature = "signed")]
fn verify(key: &PublicKey, content: &[u8], signature: &[u8]) -> Result<(), &'static str> {
    use ed25519_dalek::{Signature, VerifyingKey};
    let key = VerifyingKey::from_bytes(key).map_err(|_| "its public key is none")?;
    let signature = Signature::from_slice(signature).map_err(|_| "its signature is none")?;
    // Strict: refuses the weak keys under which one signature fits many messages.
    key.verify_strict(content, &signature)
        .map_err(|_| "its signature does not fit")
}

#[cfg(not(feature = "signed"))]
fn verify(_: &PublicKey, _: &[u8], _: &[u8]) -> Result<(), &'static str> {
    Err("this build cannot check signatures: enable the feature `signed`")
}

/// What signs this store's frames.
#[cfg(feature = "signed")]
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

#[cfg(feature = "signed")]
impl SigningKey {
    /// From 32 secret random bytes.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    /// What the others know it by.
    pub fn public(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    pub(super) fn sign(&self, content: &[u8]) -> [u8; SIGNATURE_BYTES] {
        use ed25519_dalek::Signer;
        self.0.sign(content).to_bytes()
    }
}

#[cfg(feature = "signed")]
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Without the feature there is none.
#[cfg(not(feature = "signed"))]
#[derive(Clone, Debug)]
pub(super) enum SigningKey {}

#[cfg(not(feature = "signed"))]
impl SigningKey {
    pub(super) fn sign(&self, _: &[u8]) -> [u8; SIGNATURE_BYTES] {
        match *self {}
    }
}
