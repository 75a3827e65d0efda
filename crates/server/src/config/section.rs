/// Declares one section of the configuration: each key once, with its doc comment, type and default. The struct, its defaults and
/// its part of the reference page come from the same lines, so they cannot disagree.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr,)* }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[doc = $doc])+ pub(crate) $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $name {
            pub(super) const ABOUT: &str = concat!($($about),+);
            pub(super) const KEYS: &[(&str, &str)] = &[$((stringify!($key), concat!($($doc),+)),)*];
        }
    };
}

pub(super) use section;
