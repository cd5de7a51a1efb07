//! A thin layer over `sqlx::Any`: typed parameters, typed columns and multi-row statements with `$n` placeholders,
//! which both drivers accept. Integers travel as BIGINT and pass through `try_from` in both directions.

use crate::StoreError;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Arguments, AssertSqlSafe, Row};
use std::fmt::Write;

/// Unsigned to BIGINT.
pub(crate) fn big(column: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge { column, value })
}

/// Parameters in order of their placeholders.
#[derive(Default)]
pub(crate) struct Params {
    arguments: AnyArguments,
}

impl Params {
    fn add<'t, T>(&mut self, value: T) -> Result<&mut Self, StoreError>
    where
        T: sqlx::Encode<'t, Any> + sqlx::Type<Any>,
    {
        self.arguments.add(value).map_err(sqlx::Error::Encode)?;
        Ok(self)
    }

    pub(crate) fn int(&mut self, column: &'static str, value: impl Into<u64>) -> Result<&mut Self, StoreError> {
        self.add(big(column, value.into())?)
    }

    pub(crate) fn opt_int(&mut self, column: &'static str, value: Option<u64>) -> Result<&mut Self, StoreError> {
        let value = value.map(|value| big(column, value)).transpose()?;
        self.add(value)
    }

    pub(crate) fn signed(&mut self, value: Option<i64>) -> Result<&mut Self, StoreError> {
        self.add(value)
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> Result<&mut Self, StoreError> {
        self.add(value)
    }

    pub(crate) fn text(&mut self, value: &str) -> Result<&mut Self, StoreError> {
        self.add(value)
    }

    pub(crate) fn opt_text(&mut self, value: Option<&str>) -> Result<&mut Self, StoreError> {
        self.add(value.map(str::to_owned))
    }
}

/// A prepared statement with its parameters. The text never contains values, only placeholders.
pub(crate) fn query<'q>(sql: impl Into<Text>, params: Params) -> Query<'q, Any, AnyArguments> {
    match sql.into() {
        Text::Fixed(sql) => sqlx::query_with(sql, params.arguments),
        Text::Built(sql) => sqlx::query_with(AssertSqlSafe(sql), params.arguments),
    }
}

/// Statement text: a literal, or one that [`tuples`] widened to several rows.
pub(crate) enum Text {
    Fixed(&'static str),
    Built(String),
}

impl From<&'static str> for Text {
    fn from(sql: &'static str) -> Self {
        Self::Fixed(sql)
    }
}

impl From<String> for Text {
    fn from(sql: String) -> Self {
        Self::Built(sql)
    }
}

/// `($a, $b), ($c, $d), …`: `rows` tuples of `width` placeholders, the first being `$first`.
pub(crate) fn tuples(first: usize, rows: usize, width: usize) -> String {
    let mut text = String::with_capacity(rows * width * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..width {
            let comma = if column == 0 { "" } else { "," };
            let _ = write!(text, "{comma}${}", first + row * width + column);
        }
        text.push(')');
    }
    text
}

/// Splits into groups of 64, 16, 4 and 1, so that a multi-row statement exists in four widths only and stays prepared.
pub(crate) fn groups<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let width = [64, 16, 4, 1].into_iter().find(|width| *width <= rest.len())?;
        let (group, tail) = rest.split_at(width);
        rest = tail;
        Some(group)
    })
}

pub(crate) fn get_u64(row: &AnyRow, column: &'static str) -> Result<u64, StoreError> {
    unsigned(column, row.try_get::<i64, _>(column)?)
}

pub(crate) fn get_opt_u64(row: &AnyRow, column: &'static str) -> Result<Option<u64>, StoreError> {
    row.try_get::<Option<i64>, _>(column)?.map(|value| unsigned(column, value)).transpose()
}

pub(crate) fn get_u32(row: &AnyRow, column: &'static str) -> Result<u32, StoreError> {
    let value = get_u64(row, column)?;
    u32::try_from(value).map_err(|_| corrupt(column, "u32", value))
}

pub(crate) fn get_u16(row: &AnyRow, column: &'static str) -> Result<u16, StoreError> {
    let value = get_u64(row, column)?;
    u16::try_from(value).map_err(|_| corrupt(column, "u16", value))
}

pub(crate) fn get_u8(row: &AnyRow, column: &'static str) -> Result<u8, StoreError> {
    let value = get_u64(row, column)?;
    u8::try_from(value).map_err(|_| corrupt(column, "u8", value))
}

pub(crate) fn get_text(row: &AnyRow, column: &'static str) -> Result<String, StoreError> {
    Ok(row.try_get::<String, _>(column)?)
}

pub(crate) fn get_bytes<const N: usize>(row: &AnyRow, column: &'static str) -> Result<[u8; N], StoreError> {
    fixed(column, row.try_get::<&[u8], _>(column)?)
}

pub(crate) fn get_opt_bytes<const N: usize>(row: &AnyRow, column: &'static str) -> Result<Option<[u8; N]>, StoreError> {
    row.try_get::<Option<Vec<u8>>, _>(column)?.map(|bytes| fixed(column, &bytes)).transpose()
}

fn fixed<const N: usize>(column: &'static str, bytes: &[u8]) -> Result<[u8; N], StoreError> {
    <[u8; N]>::try_from(bytes).map_err(|_| corrupt(column, "byte string of its fixed length", bytes.len()))
}

fn unsigned(column: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| corrupt(column, "amount of at least 0", value))
}

pub(crate) fn corrupt(column: &'static str, expected: &'static str, found: impl ToString) -> StoreError {
    StoreError::Corrupt { column, expected, found: found.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_number_every_column_of_every_row() {
        assert_eq!(tuples(3, 2, 2), "($3,$4),($5,$6)");
    }

    #[test]
    fn groups_cover_all_items_in_order_with_four_widths() {
        let items: Vec<u32> = (0..87).collect();
        let widths: Vec<usize> = groups(&items).map(<[u32]>::len).collect();
        assert_eq!(widths, [64, 16, 4, 1, 1, 1]);
        assert_eq!(groups(&items).flatten().copied().collect::<Vec<_>>(), items);
    }

    #[test]
    fn an_amount_beyond_bigint_is_named() {
        let error = big("charged_nc", u64::MAX).map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(error, Err("charged_nc = 18446744073709551615 does not fit the BIGINT that stores it".into()));
    }
}
