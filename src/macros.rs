//! What the types of several modules are made with.

/// Consuming setters named after their fields: one way to write a setting, in a section as in the whole.
macro_rules! setters {
    ($($name:ident: $type:ty),* $(,)?) => {$(
        #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
    )*};
}

/// Public methods that return a part of `self`, each with its type and where it is.
macro_rules! getters {
    ($this:ident; $($(#[$doc:meta])* $name:ident: $type:ty => $part:expr;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&$this) -> $type {
            $part
        }
    )*};
}

/// A section of settings, from one list: the struct, its defaults and a setter for each field.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* pub $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $name {
            setters! { $($field: $type,)* }
        }
    };
}

/// An enum whose variants have names, from one list: the enum, `ALL`, `as_str` and `Display`.
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $text:literal,)*
        }
        $(#[$as_str:meta])*
        as_str;
        $(#[$all:meta])*
        ALL;
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            $(#[$all])*
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            $(#[$as_str])*
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// The `Debug` of a type with more in it than may be shown: a text, or these values, and `..` where there are more.
macro_rules! debug_as {
    ($name:ident, $text:literal) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($text)
            }
        }
    };
    ($this:ident: $name:ident $(<$lifetime:lifetime>)? { $($field:ident: $value:expr,)+ .. }) => {
        debug_as!(@ $this $name $(<$lifetime>)?, finish_non_exhaustive, $($field: $value,)+);
    };
    ($this:ident: $name:ident $(<$lifetime:lifetime>)? { $($field:ident: $value:expr),+ $(,)? }) => {
        debug_as!(@ $this $name $(<$lifetime>)?, finish, $($field: $value,)+);
    };
    (@ $this:ident $name:ident $(<$lifetime:lifetime>)?, $finish:ident, $($field:ident: $value:expr,)+) => {
        impl std::fmt::Debug for $name $(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let $this = self;
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &$value))+.$finish()
            }
        }
    };
}
