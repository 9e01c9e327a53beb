//! Where the model runs, and why there.

use sai_generation::Model;

use crate::cli::{Device, ModelArgs};
use crate::ui::Size;

/// One line: the device, why it was taken, and whether there is room.
pub(crate) fn line(args: &ModelArgs, model: &Model) -> String {
    let why = if args.device == Device::Auto { "the only device of this build" } else { "as asked" };
    let device = model.decoder.device();
    let mut line = format!("{device} ({why}) · model {}", Size(model.memory.weights));
    if let Some(free) = crate::models::memory::available() {
        line += &format!(", {} free", Size(free));
    }
    line
}
