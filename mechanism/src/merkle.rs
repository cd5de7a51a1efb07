//! Merkle-sum trees: each node commits to a hash and to the sum of its leaves, so a proof also gives the exact range of
//! value its leaf occupies. Leaves are padded to a power of two; the root of no leaves is [`PAD`].

use alloc::vec::Vec;

use solana_sha256_hasher::hashv;

/// Bytes of one proof level on the wire: sibling hash, then sum.
pub const PROOF_NODE_LEN: usize = 40;

/// Hash and sum of a subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Commitment to the children (or the leaf's data) and their sums.
    pub hash: [u8; 32],
    /// Σ of the leaves below, in nc.
    pub sum: u64,
}

/// The padding leaf: `sha(0x02 ‖ "waybill/empty")`, sum 0.
pub const PAD: Node = Node { hash: PAD_HASH, sum: 0 };

const PAD_HASH: [u8; 32] = [
    0x16, 0x52, 0x39, 0xf9, 0xce, 0x87, 0xb5, 0xa4, 0x3b, 0x8b, 0x06, 0x81, 0xe7, 0xe0, 0x90, 0xa2, 0xf7, 0x14, 0x2e,
    0x56, 0x95, 0xd8, 0xee, 0x72, 0xfc, 0x9c, 0x15, 0xc0, 0x67, 0xef, 0xca, 0x70,
];

/// Why a tree or a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// A sum exceeds u64.
    #[error("tree sum exceeds u64")]
    SumOverflow,
    /// More than u32::MAX leaves.
    #[error("tree has too many leaves")]
    TooManyLeaves,
    /// The index is not below the number of leaves.
    #[error("leaf index is out of range")]
    IndexOutOfRange,
    /// The proof does not have one sibling per level.
    #[error("proof has the wrong depth")]
    WrongDepth,
    /// The proof leads to another root.
    #[error("proof does not lead to the root")]
    WrongRoot,
}

impl Node {
    /// The wire form of a proof level.
    pub fn to_bytes(&self) -> [u8; PROOF_NODE_LEN] {
        let mut bytes = [0; PROOF_NODE_LEN];
        let (hash, sum) = bytes.split_at_mut(32);
        hash.copy_from_slice(&self.hash);
        sum.copy_from_slice(&self.sum.to_le_bytes());
        bytes
    }

    /// Reads a proof level.
    pub fn from_bytes(bytes: &[u8; PROOF_NODE_LEN]) -> Self {
        let mut node = PAD;
        let mut sum = [0; 8];
        let (hash_bytes, sum_bytes) = bytes.split_at(32);
        node.hash.copy_from_slice(hash_bytes);
        sum.copy_from_slice(sum_bytes);
        node.sum = u64::from_le_bytes(sum);
        node
    }
}

/// The leaf of `data`; `sum` is the amount read from that data again, never one told alongside it.
pub fn leaf(data: &[u8], sum: u64) -> Node {
    Node { hash: hashv(&[&[0], data, &sum.to_le_bytes()]).to_bytes(), sum }
}

/// The parent of two nodes; `None` when the sum exceeds u64.
pub fn parent(left: &Node, right: &Node) -> Option<Node> {
    let sum = left.sum.checked_add(right.sum)?;
    let hash = hashv(&[&[1], &left.hash, &left.sum.to_le_bytes(), &right.hash, &right.sum.to_le_bytes()]).to_bytes();
    Some(Node { hash, sum })
}

/// Levels of a tree with `n_leaves` leaves: `ceil(log2(n_leaves))`.
pub const fn depth(n_leaves: u32) -> u32 {
    u32::BITS - n_leaves.saturating_sub(1).leading_zeros()
}

/// A whole tree, for whoever posts batches and hands out proofs. Padding is never stored.
#[derive(Clone, Debug)]
pub struct Tree {
    /// `levels[0]` are the leaves, each next level their parents; the last has at most one node.
    levels: Vec<Vec<Node>>,
    /// Root of a subtree of padding, per level.
    pads: Vec<Node>,
}

impl Tree {
    /// Builds the tree over `leaves` in their order.
    pub fn build(leaves: Vec<Node>) -> Result<Tree, MerkleError> {
        let n_leaves = u32::try_from(leaves.len()).map_err(|_| MerkleError::TooManyLeaves)?;
        let mut levels = Vec::new();
        let mut pads = Vec::new();
        let mut level = leaves;
        let mut pad = PAD;
        for _ in 0..depth(n_leaves) {
            let above = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => parent(left, right),
                    [left] => parent(left, &pad),
                    _ => None,
                })
                .collect::<Option<Vec<Node>>>()
                .ok_or(MerkleError::SumOverflow)?;
            levels.push(level);
            pads.push(pad);
            pad = parent(&pad, &pad).ok_or(MerkleError::SumOverflow)?;
            level = above;
        }
        levels.push(level);
        Ok(Tree { levels, pads })
    }

    /// The root; its sum is the sum of all leaves.
    pub fn root(&self) -> Node {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or(PAD)
    }

    /// Number of leaves, without padding.
    pub fn n_leaves(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Length of every proof.
    pub fn depth(&self) -> usize {
        self.pads.len()
    }

    /// The leaf at `index`.
    pub fn leaf(&self, index: usize) -> Option<Node> {
        self.levels.first()?.get(index).copied()
    }

    /// The siblings of leaf `index`, bottom-up.
    pub fn proof(&self, index: usize) -> Result<Vec<Node>, MerkleError> {
        Ok(self.siblings(index)?.collect())
    }

    /// The siblings above the block of `2^height` leaves, or what there is of them, that begins at `first`, bottom-up;
    /// see [`verify_block`].
    pub fn block_proof(&self, first: usize, height: usize) -> Result<Vec<Node>, MerkleError> {
        Ok(self.siblings(first)?.skip(height).collect())
    }

    /// [`Tree::proof`] without an allocation, for whoever hands out every proof of a tree.
    pub fn siblings(&self, index: usize) -> Result<impl Iterator<Item = Node>, MerkleError> {
        if index >= self.n_leaves() {
            return Err(MerkleError::IndexOutOfRange);
        }
        let levels = self.levels.iter().zip(&self.pads).enumerate();
        Ok(levels.map(move |(height, (level, pad))| level.get((index >> height) ^ 1).copied().unwrap_or(*pad)))
    }
}

/// Checks that `leaf` is leaf `index` of the tree with `root` and `n_leaves`, and returns the sum of the leaves before it.
pub fn verify(root: &Node, n_leaves: u32, index: u32, leaf: &Node, proof: &[Node]) -> Result<u64, MerkleError> {
    if index >= n_leaves {
        return Err(MerkleError::IndexOutOfRange);
    }
    if u32::try_from(proof.len()) != Ok(depth(n_leaves)) {
        return Err(MerkleError::WrongDepth);
    }
    let mut node = *leaf;
    let mut position = index;
    let mut prefix = 0u64;
    for sibling in proof {
        let above = if position & 1 == 0 {
            parent(&node, sibling)
        } else {
            prefix = prefix.checked_add(sibling.sum).ok_or(MerkleError::SumOverflow)?;
            parent(sibling, &node)
        };
        node = above.ok_or(MerkleError::SumOverflow)?;
        position >>= 1;
    }
    if node == *root { Ok(prefix) } else { Err(MerkleError::WrongRoot) }
}

/// Checks that `leaves` are the leaves from `first` on of the tree with `root` and `n_leaves`. They are a whole block: as
/// many as a power of two that divides `first`, or all from there to the last leaf. `proof` are the siblings above the
/// block, so that of a whole tree is empty.
pub fn verify_block(
    root: &Node,
    n_leaves: u32,
    first: u32,
    mut leaves: Vec<Node>,
    proof: &[Node],
) -> Result<(), MerkleError> {
    let count = u32::try_from(leaves.len()).map_err(|_| MerkleError::TooManyLeaves)?;
    let height = depth(count);
    let end = first.checked_add(count).ok_or(MerkleError::IndexOutOfRange)?;
    let block = 1u32.checked_shl(height).ok_or(MerkleError::TooManyLeaves)?;
    if count == 0 || end > n_leaves || !first.is_multiple_of(block) || (count != block && end != n_leaves) {
        return Err(MerkleError::IndexOutOfRange);
    }
    let above = u32::try_from(proof.len()).map_err(|_| MerkleError::WrongDepth)?;
    if height.checked_add(above) != Some(depth(n_leaves)) {
        return Err(MerkleError::WrongDepth);
    }
    let mut pad = PAD;
    for _ in 0..height {
        let half = leaves.len().div_ceil(2);
        for i in 0..half {
            let left = leaves.get(i * 2).ok_or(MerkleError::WrongDepth)?;
            let right = leaves.get(i * 2 + 1).unwrap_or(&pad);
            let node = parent(left, right).ok_or(MerkleError::SumOverflow)?;
            if let Some(place) = leaves.get_mut(i) {
                *place = node;
            }
        }
        leaves.truncate(half);
        pad = parent(&pad, &pad).ok_or(MerkleError::SumOverflow)?;
    }
    let mut node = *leaves.first().ok_or(MerkleError::WrongDepth)?;
    let mut position = first >> height;
    for sibling in proof {
        let above = if position & 1 == 0 { parent(&node, sibling) } else { parent(sibling, &node) };
        node = above.ok_or(MerkleError::SumOverflow)?;
        position >>= 1;
    }
    if node == *root { Ok(()) } else { Err(MerkleError::WrongRoot) }
}
