//! The verifiers of one determinism class. A table of seats follows the header in the same account, so that whoever
//! opens an audit brings one account and cannot choose who judges: the panel is drawn from the seats that were taken when
//! the batch was posted.

use anchor_lang::prelude::*;
use waybill_mechanism::audit::panel_pick;

use crate::{
    constants::{CHAIRS, SEAT_HOLD_S, SEATS},
    error::SettleError,
};

/// `["vset", det_class]`: this header, then [`SEATS`] seats of [`Seat::LEN`] bytes.
#[account]
#[derive(InitSpace, Debug)]
pub struct VerifierSet {
    pub version: u8,
    pub bump: u8,
    pub det_class: u16,
    /// Seats taken now.
    pub seated: u16,
    pub seq: u64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 64],
}

/// One place in the set: who answers with its stake, and the key that signs its verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Owner of the `Party(Verifier)`; default = never taken.
    pub owner: Pubkey,
    /// Signs verdicts.
    pub node: Pubkey,
    /// Unix second from which it is held.
    pub joined_at: i64,
    /// Unix second at which it was left; 0 = held.
    pub left_at: i64,
}

impl Seat {
    /// Encoded size in bytes.
    pub const LEN: usize = 80;

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (owner, rest) = bytes.split_first_chunk::<32>()?;
        let (node, rest) = rest.split_first_chunk::<32>()?;
        let (joined_at, rest) = rest.split_first_chunk::<8>()?;
        let (left_at, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            owner: Pubkey::new_from_array(*owner),
            node: Pubkey::new_from_array(*node),
            joined_at: i64::from_le_bytes(*joined_at),
            left_at: i64::from_le_bytes(*left_at),
        })
    }

    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..32].copy_from_slice(self.owner.as_ref());
        bytes[32..64].copy_from_slice(self.node.as_ref());
        bytes[64..72].copy_from_slice(&self.joined_at.to_le_bytes());
        bytes[72..].copy_from_slice(&self.left_at.to_le_bytes());
        bytes
    }

    /// Held at a moment in the past; what happens to the seat later changes nothing.
    fn held_at(&self, moment: i64) -> bool {
        self.owner != Pubkey::default() && self.joined_at < moment && (self.left_at == 0 || self.left_at > moment)
    }

    /// Held by nobody, and by nobody that an audit may still name.
    fn is_vacant(&self, now: i64) -> bool {
        self.owner == Pubkey::default() || (self.left_at != 0 && now >= self.left_at.saturating_add(SEAT_HOLD_S))
    }
}

/// The chairs of an audit, by seat: the first verifier, three more, four more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panel {
    pub seats: [u8; CHAIRS],
    /// How many chairs are filled.
    pub len: u8,
}

impl VerifierSet {
    /// Bytes of the account without the seats.
    pub const HEADER: usize = 8 + Self::INIT_SPACE;
    /// Bytes of the account.
    pub const SPACE: usize = Self::HEADER + SEATS * Seat::LEN;

    /// Seat `index`, read from the raw account.
    pub fn seat(data: &[u8], index: u8) -> Result<Seat> {
        let start = Self::HEADER + usize::from(index) * Seat::LEN;
        let bytes = data.get(start..start + Seat::LEN).ok_or(SettleError::NotSeated)?;
        Seat::from_bytes(bytes).ok_or_else(|| SettleError::NotSeated.into())
    }

    fn seats(data: &[u8]) -> impl Iterator<Item = (u8, Seat)> {
        let table = data.get(Self::HEADER..).unwrap_or_default();
        (0u8..).zip(table.chunks_exact(Seat::LEN).filter_map(Seat::from_bytes))
    }

    fn write(data: &mut [u8], index: u8, seat: Seat) -> Result<()> {
        let start = Self::HEADER + usize::from(index) * Seat::LEN;
        let bytes = data.get_mut(start..start + Seat::LEN).ok_or(SettleError::NotSeated)?;
        bytes.copy_from_slice(&seat.to_bytes());
        Ok(())
    }

    /// Takes the first vacant seat and returns its index. An owner and a node hold one seat each.
    pub fn join(&mut self, data: &mut [u8], owner: Pubkey, node: Pubkey, now: i64) -> Result<u8> {
        let mut vacant = None;
        for (index, seat) in Self::seats(data) {
            let held = seat.owner != Pubkey::default() && seat.left_at == 0;
            require!(!held || (seat.owner != owner && seat.node != node), SettleError::SeatTaken);
            if vacant.is_none() && seat.is_vacant(now) {
                vacant = Some(index);
            }
        }
        let index = vacant.ok_or(SettleError::SetFull)?;
        Self::write(data, index, Seat { owner, node, joined_at: now, left_at: 0 })?;
        self.seated = self.seated.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(index)
    }

    /// Leaves a seat. Audits of batches that were posted before still name it.
    pub fn leave(&mut self, data: &mut [u8], index: u8, owner: &Pubkey, now: i64) -> Result<()> {
        let seat = Self::seat(data, index)?;
        require!(seat.owner == *owner && seat.left_at == 0 && seat.joined_at <= now, SettleError::NotSeated);
        // One second later at the earliest, or a seat that joined and left in one second would seem never left.
        let left_at = now.max(seat.joined_at.checked_add(1).ok_or(SettleError::Overflow)?);
        Self::write(data, index, Seat { left_at, ..seat })?;
        self.seated = self.seated.checked_sub(1).ok_or(SettleError::InvariantBroken)?;
        Ok(())
    }

    /// Draws the panel of one audit among the seats held when the batch was posted. Nobody judges its own work: the
    /// worker's operator, the gateway and the worker's key are left out.
    pub fn draw_panel(data: &[u8], seed: &[u8; 32], draw: u32, posted_at: i64, parties: &[Pubkey]) -> Result<Panel> {
        let mut candidates: Vec<u8> = Vec::with_capacity(SEATS);
        candidates.extend(
            Self::seats(data)
                .filter(|(_, seat)| {
                    seat.held_at(posted_at) && !parties.contains(&seat.owner) && !parties.contains(&seat.node)
                })
                .map(|(index, _)| index),
        );
        let mut panel = Panel { seats: [0; CHAIRS], len: 0 };
        for (chair, place) in (0u8..).zip(panel.seats.iter_mut()) {
            let Some(pick) = panel_pick(seed, draw, chair, candidates.len()) else { break };
            *place = candidates.remove(pick);
            panel.len = chair + 1;
        }
        require!(panel.len > 0, SettleError::NoVerifier);
        Ok(panel)
    }

    /// The number of the next event about this set.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    pub fn invariant(&self) -> Result<()> {
        require!(usize::from(self.seated) <= SEATS, SettleError::InvariantBroken);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(byte: u8) -> Pubkey {
        Pubkey::new_from_array([byte; 32])
    }

    fn set() -> (VerifierSet, Vec<u8>) {
        let set = VerifierSet {
            version: 1,
            bump: 1,
            det_class: 1,
            seated: 0,
            seq: 0,
            rent_payer: key(1),
            _reserved: [0; 64],
        };
        (set, vec![0; VerifierSet::SPACE])
    }

    #[test]
    fn an_owner_and_a_node_hold_one_seat_each() {
        let (mut set, mut data) = set();
        assert_eq!(set.join(&mut data, key(1), key(101), 10).unwrap(), 0);
        assert_eq!(set.join(&mut data, key(2), key(102), 10).unwrap(), 1);
        for (owner, node) in [(1, 103), (3, 102)] {
            let refused = set.join(&mut data, key(owner), key(node), 10).unwrap_err();
            assert_eq!(refused, SettleError::SeatTaken.into());
        }
        assert_eq!(set.seated, 2);
    }

    #[test]
    fn a_left_seat_is_free_again_only_when_no_audit_can_name_it() {
        let (mut set, mut data) = set();
        for n in 0..SEATS as u8 {
            set.join(&mut data, key(n + 1), key(n + 101), 10).unwrap();
        }
        assert_eq!(set.join(&mut data, key(90), key(91), 10).unwrap_err(), SettleError::SetFull.into());
        set.leave(&mut data, 5, &key(6), 20).unwrap();
        assert_eq!(set.leave(&mut data, 5, &key(6), 20).unwrap_err(), SettleError::NotSeated.into());
        assert_eq!(set.leave(&mut data, 6, &key(6), 20).unwrap_err(), SettleError::NotSeated.into());
        let free_at = 20 + SEAT_HOLD_S;
        assert_eq!(set.join(&mut data, key(90), key(91), free_at - 1).unwrap_err(), SettleError::SetFull.into());
        assert_eq!(set.join(&mut data, key(90), key(91), free_at).unwrap(), 5);
    }

    #[test]
    fn a_panel_depends_only_on_the_seats_held_when_the_batch_was_posted() {
        let (mut set, mut data) = set();
        for n in 0..12 {
            set.join(&mut data, key(n + 1), key(n + 101), 10).unwrap();
        }
        let panel = VerifierSet::draw_panel(&data, &[7; 32], 3, 50, &[key(4)]).unwrap();
        assert_eq!(panel.len, 8);
        let mut seats = panel.seats.to_vec();
        seats.sort_unstable();
        seats.dedup();
        assert_eq!(seats.len(), 8, "eight different verifiers");
        assert!(!seats.contains(&3), "the operator does not judge its own worker");
        // Afterwards one of the panel leaves and others join: the panel stays.
        set.leave(&mut data, panel.seats[0], &key(panel.seats[0] + 1), 50 + 1).unwrap();
        for n in 20..40 {
            set.join(&mut data, key(n), key(n + 101), 50).unwrap();
        }
        assert_eq!(VerifierSet::draw_panel(&data, &[7; 32], 3, 50, &[key(4)]).unwrap(), panel);
        assert_ne!(VerifierSet::draw_panel(&data, &[7; 32], 4, 50, &[key(4)]).unwrap(), panel);
    }

    #[test]
    fn an_empty_set_has_no_panel() {
        let (_, data) = set();
        let refused = VerifierSet::draw_panel(&data, &[7; 32], 0, 50, &[]).unwrap_err();
        assert_eq!(refused, SettleError::NoVerifier.into());
    }
}
