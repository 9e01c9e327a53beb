//! Tables of tasks, for a terminal and in Markdown.

use sai_evals::Table;

use crate::terminal::clean::visible;

/// Columns as wide as what stands in them, the rows' names to the left and figures to the right.
pub(super) fn plain(table: &Table) -> String {
    crate::terminal::table::columns(&cells(table, |name| visible(name).into_owned())) + &remark(table)
}

pub(super) fn markdown(table: &Table) -> String {
    let cells = cells(table, |name| visible(name).replace('|', "\\|"));
    let mut out = String::new();
    for (i, row) in cells.iter().enumerate() {
        out += &format!("| {} |\n", row.join(" | "));
        if i == 0 {
            out += &format!("| --- |{}\n", " ---: |".repeat(row.len() - 1));
        }
    }
    match remark(table) {
        remark if remark.is_empty() => out,
        remark => out + "\n" + &remark,
    }
}

/// A `tabular` of LaTeX, which wants no package.
pub(super) fn latex(table: &Table) -> String {
    let cells = cells(table, escaped);
    let mut out = format!("\\begin{{tabular}}{{l{}}}\n\\hline\n", "r".repeat(cells[0].len() - 1));
    let last = cells.len() - 1;
    for (i, row) in cells.iter().enumerate() {
        if i == last && table.average.is_some() {
            out += "\\hline\n";
        }
        out += &format!("{} \\\\\n", row.join(" & ").replace('±', "$\\pm$").replace('–', "--"));
        if i == 0 {
            out += "\\hline\n";
        }
    }
    out += "\\hline\n\\end{tabular}\n";
    let remark = remark(table);
    if remark.is_empty() { out } else { format!("{out}% {remark}") }
}

/// A name as LaTeX prints it.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for c in visible(name).chars() {
        match c {
            '_' | '%' | '&' | '#' | '$' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            _ => out.push(c),
        }
    }
    out
}

fn cells(table: &Table, name: impl Fn(&str) -> String) -> Vec<Vec<String>> {
    let mut rows = vec![[&table.title].into_iter().chain(&table.columns).map(|head| name(head)).collect()];
    for (row, cells) in &table.rows {
        let mut line = vec![name(row)];
        for cell in cells {
            line.push(match cell {
                None => "–".to_owned(),
                Some(cell) => match cell.stderr {
                    Some(stderr) => format!("{:.3} ±{stderr:.3}", cell.value),
                    None => format!("{:.3}", cell.value),
                },
            });
        }
        rows.push(line);
    }
    if let Some(average) = &table.average {
        let mut line = vec!["average".to_owned()];
        line.extend(average.iter().map(|mean| mean.map_or("–".to_owned(), |mean| format!("{mean:.3}"))));
        rows.push(line);
    }
    rows
}

fn remark(table: &Table) -> String {
    match table.missing.is_empty() {
        true => String::new(),
        false => format!("No average: {} were not asked.\n", table.missing.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use sai_evals::Cell;

    use super::*;

    fn table() -> Table {
        let cell = |value, stderr| Some(Cell { value, stderr });
        Table {
            title: "Korean".to_owned(),
            columns: vec!["42dot".to_owned(), "작은 모형".to_owned()],
            published: 1,
            rows: vec![("kobest_boolq".to_owned(), vec![cell(0.369, None), cell(0.3344, Some(0.0126))])],
            average: Some(vec![Some(0.549), None]),
            missing: Vec::new(),
        }
    }

    #[test]
    fn columns_stand_under_each_other() {
        assert_eq!(
            plain(&table()),
            "Korean        42dot     작은 모형\n\
             kobest_boolq  0.369  0.334 ±0.013\n\
             average       0.549             –\n"
        );
    }

    #[test]
    fn names_are_escaped_for_latex() {
        assert_eq!(
            latex(&table()),
            "\\begin{tabular}{lrr}\n\\hline\nKorean & 42dot & 작은 모형 \\\\\n\\hline\n\
             kobest\\_boolq & 0.369 & 0.334 $\\pm$0.013 \\\\\n\\hline\naverage & 0.549 & -- \\\\\n\\hline\n\\end{tabular}\n"
        );
    }

    #[test]
    fn rows_that_were_not_asked_are_named_instead_of_an_average() {
        let table = Table { average: None, missing: vec!["kobest_copa".to_owned()], ..table() };
        let text = markdown(&table);
        assert!(text.starts_with("| Korean | 42dot | 작은 모형 |\n| --- | ---: | ---: |\n"), "{text}");
        assert!(text.ends_with("|\n\nNo average: kobest_copa were not asked.\n"), "{text}");
    }
}
