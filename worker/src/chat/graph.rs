//! The decoder graph: input ids, a mask and the key/value cache in; logits of the last position and the grown cache out.
//!
//! Rows of a batch may have different lengths. Row `i` holds its cache left-aligned in a buffer of the batch's width, and
//! its mask has exactly as many ones as it has positions: the attention operator takes each row's length from the mask's
//! sum and writes new keys behind them, so a row computes the same bits alone and in any batch.

use ort::{
    memory::Allocator,
    session::{Session, SessionInputValue},
    value::{DynValue, Tensor, ValueType},
};

/// Why a step failed; the sequences in it are lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("ONNX Runtime: {0}")]
    Ort(#[from] ort::Error),
    #[error("the model's output {0} is missing")]
    MissingOutput(&'static str),
}

/// One layer half (keys or values) of the cache after another, each f32 `[rows, heads, width, dim]`.
pub(crate) struct Cache {
    tensors: Vec<DynValue>,
    rows: usize,
    width: usize,
}

impl Cache {
    pub fn rows(&self) -> usize {
        self.rows
    }
}

pub(crate) struct Graph {
    session: Session,
    /// Graph input names in the order that `step` gives them: ids, mask, then the cache.
    inputs: Vec<String>,
    outputs: Vec<String>,
    heads: usize,
    dim: usize,
}

impl Graph {
    pub fn new(session: Session) -> Result<Self, String> {
        let past: Vec<(String, usize, usize)> = session
            .inputs()
            .iter()
            .filter(|input| input.name().starts_with("past_key_values."))
            .map(|input| match input.dtype() {
                ValueType::Tensor { shape, .. } => match shape[..] {
                    [_, heads, _, dim] if heads > 0 && dim > 0 => {
                        Ok((input.name().to_owned(), heads as usize, dim as usize))
                    }
                    _ => Err(format!("input {} has shape {shape}", input.name())),
                },
                other => Err(format!("input {} is {other:?}", input.name())),
            })
            .collect::<Result<_, _>>()?;
        let &(_, heads, dim) = past.first().ok_or("the model has no past_key_values inputs")?;
        let outputs = past.iter().map(|(name, ..)| name.replacen("past_key_values", "present", 1)).collect();
        let inputs = ["input_ids", "attention_mask"]
            .into_iter()
            .map(String::from)
            .chain(past.into_iter().map(|p| p.0))
            .collect();
        Ok(Self { session, inputs, outputs, heads, dim })
    }

    /// The cache before the first token of a single sequence.
    pub fn empty_cache(&self) -> Result<Cache, StepError> {
        let shape = [1, self.heads, 0, self.dim];
        let tensors = self
            .outputs
            .iter()
            .map(|_| Ok(Tensor::<f32>::new(&Allocator::default(), shape)?.into_dyn()))
            .collect::<Result<_, StepError>>()?;
        Ok(Cache { tensors, rows: 1, width: 0 })
    }

    /// Feeds the next `count` tokens of every row; `lengths[i]` is how many positions row `i` has already. `ids` is
    /// row-major. `read` gets the logits of the last position, row-major `[rows, vocabulary]`.
    pub fn step<R>(
        &mut self,
        cache: Cache,
        lengths: &[usize],
        ids: Vec<i64>,
        read: impl FnOnce(&[f32]) -> R,
    ) -> Result<(Cache, R), StepError> {
        let rows = cache.rows;
        debug_assert_eq!(rows, lengths.len());
        let count = ids.len() / rows;
        let width = cache.width + count;
        let mut mask = vec![0i64; rows * width];
        for (row, length) in mask.chunks_exact_mut(width).zip(lengths) {
            row[..length + count].fill(1);
        }
        let ids = Tensor::from_array(([rows, count], ids))?.into_dyn();
        let mask = Tensor::from_array(([rows, width], mask))?.into_dyn();
        let values = [ids, mask].into_iter().chain(cache.tensors);
        let inputs: Vec<(&str, SessionInputValue<'_>)> =
            self.inputs.iter().map(String::as_str).zip(values.map(SessionInputValue::Owned)).collect();
        let mut outputs = self.session.run(inputs)?;
        let logits = outputs.remove("logits").ok_or(StepError::MissingOutput("logits"))?;
        let tensors = self
            .outputs
            .iter()
            .map(|name| outputs.remove(name).ok_or(StepError::MissingOutput("present.*")))
            .collect::<Result<_, _>>()?;
        let (_, logits) = logits.try_extract_tensor::<f32>()?;
        Ok((Cache { tensors, rows, width }, read(logits)))
    }

    /// Makes one cache of chosen rows of several: `parts` are (cache, row, length). Only valid positions are copied.
    pub fn gather(&self, parts: &[(&Cache, usize, usize)]) -> Result<Cache, StepError> {
        let rows = parts.len();
        let width = parts.iter().map(|part| part.2).max().unwrap_or(0);
        let row_size = self.heads * width * self.dim;
        let tensors = (0..self.outputs.len())
            .map(|layer| {
                let mut data = vec![0f32; rows * row_size];
                for (row, &(cache, from, length)) in data.chunks_exact_mut(row_size.max(1)).zip(parts) {
                    let Some(tensor) = cache.tensors.get(layer) else { continue };
                    let (_, source) = tensor.try_extract_tensor::<f32>()?;
                    let source = source.chunks_exact(cache.width * self.dim).skip(from * self.heads);
                    for (head, source) in row.chunks_exact_mut(width * self.dim).zip(source) {
                        head[..length * self.dim].copy_from_slice(&source[..length * self.dim]);
                    }
                }
                Ok(Tensor::from_array(([rows, self.heads, width, self.dim], data))?.into_dyn())
            })
            .collect::<Result<_, StepError>>()?;
        Ok(Cache { tensors, rows, width })
    }
}
