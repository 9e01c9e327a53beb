//! What a making would do, as a table.

use std::io::Write;
use std::path::Path;

use sai_make::{PlannedStage, StageAction};

use super::board::Time;
use crate::ui::Size;

/// Prints what would be done with each stage.
pub(super) fn print(planned: &[PlannedStage], out: &Path) -> anyhow::Result<()> {
    let mut to = std::io::stdout().lock();
    let (mut seconds, mut unknown, mut guessed, mut disk) = (0.0, false, false, 0);
    for one in planned {
        let time = match one.time {
            Some(time) if one.what.runs() => {
                seconds += time.seconds;
                guessed |= !time.measured;
                format!("about {}", Time(time.seconds))
            }
            _ if one.what.runs() => {
                unknown = true;
                "?".to_owned()
            }
            _ => String::new(),
        };
        disk += one.disk.unwrap_or(0);
        let size = one.disk.map_or_else(String::new, |bytes| Size(bytes).to_string());
        writeln!(to, "{:<10} {time:>14} {size:>10}  {}", one.stage, why(&one.what))?;
    }
    let runs = planned.iter().filter(|one| one.what.runs()).count();
    if runs == 0 {
        writeln!(to, "\nnothing to do: {} is as the recipe says", out.display())?;
        return Ok(());
    }
    let beyond = if unknown { ", and what is marked ?" } else { "" };
    let source = if guessed { ", by the recipe and this machine's peak" } else { ", as they took before" };
    let there = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let free = there.ancestors().find(|path| path.exists()).and_then(crate::doctor::free_bytes);
    let free = free.map_or_else(String::new, |free| format!(" of {} that are free", Size(free)));
    writeln!(
        to,
        "\n{runs} of {} stages: about {}{source}{beyond}; {} of disk{free}",
        planned.len(),
        Time(seconds),
        Size(disk)
    )?;
    Ok(())
}

fn why(what: &StageAction) -> String {
    match what {
        StageAction::Kept => "nothing has changed".to_owned(),
        StageAction::Runs(reasons) => sai_make::why(reasons),
        StageAction::Follows(stage) => format!("if {stage} makes other files than before"),
        StageAction::LeftOut => "not asked for".to_owned(),
    }
}
