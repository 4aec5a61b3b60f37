//! Where bodies come from and go to.

pub(crate) mod charset;
pub(crate) mod compressing;
pub(crate) mod content_type;
pub(crate) mod decoding;
pub(crate) mod disk;
pub(crate) mod feed;
pub(crate) mod form;
#[cfg(feature = "test-hooks")]
pub(crate) mod hold;
pub(crate) mod integrity;
pub(crate) mod part;
pub(crate) mod prescan;
pub(crate) mod recoding;
pub(crate) mod resume;
pub(crate) mod source;
pub(crate) mod threads;
