//! Views: the few fields that a hot instruction reads of a large account, read where they lie.
//!
//! Reading a whole account costs ten to twenty compute units a field, whether the instruction looks at it or not. A view
//! stands in `Account<'info, View>` like the account itself, with the same checks of owner and discriminator. It is
//! never written.

use anchor_lang::{error::ErrorCode, prelude::*};

/// Reads a field at its offset in the account.
pub fn field<T: AnchorDeserialize>(data: &[u8], offset: usize) -> Result<T> {
    let mut rest = data.get(offset..).ok_or(ErrorCode::AccountDidNotDeserialize)?;
    T::deserialize(&mut rest).map_err(|_| ErrorCode::AccountDidNotDeserialize.into())
}

/// Declares a view of an account: its fields, each with its offset in the account's bytes, discriminator included. The
/// test beside each view compares it with the account read whole.
#[macro_export]
macro_rules! view {
    ($(#[$meta:meta])* $view:ident of $whole:ty { $($(#[$about:meta])* $name:ident: $type:ty = $offset:expr,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $view {
            $($(#[$about])* pub $name: $type,)+
        }

        impl anchor_lang::AccountDeserialize for $view {
            fn try_deserialize(data: &mut &[u8]) -> anchor_lang::Result<Self> {
                if !data.starts_with(<$whole as anchor_lang::Discriminator>::DISCRIMINATOR) {
                    return Err(anchor_lang::error::ErrorCode::AccountDiscriminatorMismatch.into());
                }
                Self::try_deserialize_unchecked(data)
            }

            fn try_deserialize_unchecked(data: &mut &[u8]) -> anchor_lang::Result<Self> {
                Ok(Self { $($name: $crate::view::field(data, $offset)?,)+ })
            }
        }

        // Writes nothing.
        impl anchor_lang::AccountSerialize for $view {}

        impl anchor_lang::Owner for $view {
            fn owner() -> anchor_lang::prelude::Pubkey {
                <$whole as anchor_lang::Owner>::owner()
            }
        }

        impl anchor_lang::Discriminator for $view {
            const DISCRIMINATOR: &'static [u8] = <$whole as anchor_lang::Discriminator>::DISCRIMINATOR;
        }

        // The interface description knows the account by the whole type.
        #[cfg(feature = "idl-build")]
        impl anchor_lang::IdlBuild for $view {}
    };
}
