//! Where the model runs, and why there.

use sai_generation::Model;

use crate::cli::{Device, ModelArgs};
use crate::texts::texts;
use crate::ui::Size;

/// One line: the device, why it was taken, and whether there is room.
pub(crate) fn line(args: &ModelArgs, model: &Model) -> String {
    let free = crate::models::memory::available().map(Size);
    let free = free.as_ref().map(|free| free as &dyn std::fmt::Display);
    (texts().device)(&model.decoder.device(), args.device == Device::Auto, &Size(model.memory.weights), free)
}
