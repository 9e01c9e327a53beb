//! Metadata values.

use std::fmt;

use super::cursor::{Cursor, Short};
use crate::{Bytes, KeyProblem};

/// Arrays within arrays, at most.
const MAX_DEPTH: usize = 8;

/// The type of a metadata value, with its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)] // named for the Rust types that hold them
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    const ALL: [ValueType; 13] = [
        ValueType::U8,
        ValueType::I8,
        ValueType::U16,
        ValueType::I16,
        ValueType::U32,
        ValueType::I32,
        ValueType::F32,
        ValueType::Bool,
        ValueType::String,
        ValueType::Array,
        ValueType::U64,
        ValueType::I64,
        ValueType::F64,
    ];

    pub(super) fn from_id(id: u32) -> Option<ValueType> {
        ValueType::ALL.get(id as usize).copied()
    }

    /// The fewest bytes that a value takes in the file; numbers take exactly these.
    fn least_bytes(self) -> u64 {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
            ValueType::U16 | ValueType::I16 => 2,
            ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
            ValueType::U64 | ValueType::I64 | ValueType::F64 | ValueType::String => 8,
            ValueType::Array => 12,
        }
    }

    /// The type's name: `u32`, `string`.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::U8 => "u8",
            ValueType::I8 => "i8",
            ValueType::U16 => "u16",
            ValueType::I16 => "i16",
            ValueType::U32 => "u32",
            ValueType::I32 => "i32",
            ValueType::F32 => "f32",
            ValueType::Bool => "bool",
            ValueType::String => "string",
            ValueType::Array => "array",
            ValueType::U64 => "u64",
            ValueType::I64 => "i64",
            ValueType::F64 => "f64",
        }
    }
}

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // named for what they hold
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// Why a value could not be read.
pub(super) enum Fault {
    Short(Short),
    Problem(KeyProblem),
}

impl From<Short> for Fault {
    fn from(short: Short) -> Fault {
        Fault::Short(short)
    }
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> ValueType {
        match self {
            Value::U8(_) => ValueType::U8,
            Value::I8(_) => ValueType::I8,
            Value::U16(_) => ValueType::U16,
            Value::I16(_) => ValueType::I16,
            Value::U32(_) => ValueType::U32,
            Value::I32(_) => ValueType::I32,
            Value::F32(_) => ValueType::F32,
            Value::Bool(_) => ValueType::Bool,
            Value::String(_) => ValueType::String,
            Value::Array(_) => ValueType::Array,
            Value::U64(_) => ValueType::U64,
            Value::I64(_) => ValueType::I64,
            Value::F64(_) => ValueType::F64,
        }
    }

    /// The whole number, of any of the integer types.
    pub fn as_integer(&self) -> Option<i128> {
        Some(match self {
            Value::U8(x) => i128::from(*x),
            Value::I8(x) => i128::from(*x),
            Value::U16(x) => i128::from(*x),
            Value::I16(x) => i128::from(*x),
            Value::U32(x) => i128::from(*x),
            Value::I32(x) => i128::from(*x),
            Value::U64(x) => i128::from(*x),
            Value::I64(x) => i128::from(*x),
            _ => return None,
        })
    }

    /// The number, of either of the float types.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::F32(x) => Some(f64::from(*x)),
            Value::F64(x) => Some(*x),
            _ => None,
        }
    }

    /// Reads the value of type `kind` at the cursor, which walks over `bytes`.
    pub(super) fn read(kind: ValueType, cursor: &mut Cursor<'_>, bytes: &Bytes) -> Result<Value, Fault> {
        Ok(match kind {
            ValueType::String => {
                let text = String::from_utf8(cursor.string()?.to_owned());
                Value::String(text.map_err(|_| Fault::Problem(KeyProblem::NotUtf8))?)
            }
            ValueType::Array => Value::Array(Array::read(cursor, bytes, 0)?),
            _ => Value::number(kind, cursor)?,
        })
    }

    /// Reads a number or a boolean.
    fn number(kind: ValueType, cursor: &mut Cursor<'_>) -> Result<Value, Fault> {
        Ok(match kind {
            ValueType::U8 => Value::U8(u8::from_le_bytes(cursor.array()?)),
            ValueType::I8 => Value::I8(i8::from_le_bytes(cursor.array()?)),
            ValueType::U16 => Value::U16(u16::from_le_bytes(cursor.array()?)),
            ValueType::I16 => Value::I16(i16::from_le_bytes(cursor.array()?)),
            ValueType::U32 => Value::U32(u32::from_le_bytes(cursor.array()?)),
            ValueType::I32 => Value::I32(i32::from_le_bytes(cursor.array()?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(cursor.array()?)),
            ValueType::U64 => Value::U64(u64::from_le_bytes(cursor.array()?)),
            ValueType::I64 => Value::I64(i64::from_le_bytes(cursor.array()?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(cursor.array()?)),
            ValueType::Bool => match cursor.array::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(Fault::Problem(KeyProblem::NotBool(other))),
            },
            ValueType::String | ValueType::Array => {
                return Err(Fault::Problem(KeyProblem::UnknownType(kind as u32)));
            }
        })
    }

    /// Appends the value, without its type, as files have it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::U8(x) => out.extend(x.to_le_bytes()),
            Value::I8(x) => out.extend(x.to_le_bytes()),
            Value::U16(x) => out.extend(x.to_le_bytes()),
            Value::I16(x) => out.extend(x.to_le_bytes()),
            Value::U32(x) => out.extend(x.to_le_bytes()),
            Value::I32(x) => out.extend(x.to_le_bytes()),
            Value::F32(x) => out.extend(x.to_le_bytes()),
            Value::U64(x) => out.extend(x.to_le_bytes()),
            Value::I64(x) => out.extend(x.to_le_bytes()),
            Value::F64(x) => out.extend(x.to_le_bytes()),
            Value::Bool(x) => out.push(u8::from(*x)),
            Value::String(x) => write_string(x.as_bytes(), out),
            Value::Array(x) => {
                out.extend((x.element as u32).to_le_bytes());
                out.extend((x.len as u64).to_le_bytes());
                out.extend_from_slice(&x.data);
            }
        }
    }
}

pub(super) fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// As people read it: text between quotes, arrays as their type and length.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::F32(x) => write!(f, "{x}"),
            Value::F64(x) => write!(f, "{x}"),
            Value::Bool(x) => write!(f, "{x}"),
            Value::String(x) => write!(f, "{x:?}"),
            Value::Array(x) => write!(f, "[{}; {}]", x.element.name(), x.len),
            integer => write!(f, "{}", integer.as_integer().unwrap_or_default()),
        }
    }
}

/// An array, left as the file has it: checked when the file is opened, decoded when it is walked. Strings in it
/// are any bytes; [`Metadata::strings`](super::Metadata::strings) holds them to UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    element: ValueType,
    len: usize,
    data: Bytes,
}

impl Array {
    /// An array of values of one type; `None` where one of them is of another.
    pub fn from_values(element: ValueType, values: &[Value]) -> Option<Array> {
        let mut data = Vec::new();
        for value in values {
            if value.kind() != element {
                return None;
            }
            value.write(&mut data);
        }
        Some(Array { element, len: values.len(), data: data.into() })
    }

    /// An array of strings.
    pub fn from_strings<S: AsRef<[u8]>>(strings: &[S]) -> Array {
        let mut data = Vec::new();
        strings.iter().for_each(|s| write_string(s.as_ref(), &mut data));
        Array { element: ValueType::String, len: strings.len(), data: data.into() }
    }

    /// An array of u32.
    pub fn from_u32s(values: &[u32]) -> Array {
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Array { element: ValueType::U32, len: values.len(), data: data.into() }
    }

    /// An array of i32.
    pub fn from_i32s(values: &[i32]) -> Array {
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Array { element: ValueType::I32, len: values.len(), data: data.into() }
    }

    /// An array of f32.
    pub fn from_f32s(values: &[f32]) -> Array {
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Array { element: ValueType::F32, len: values.len(), data: data.into() }
    }

    /// The type of its elements.
    pub fn element(&self) -> ValueType {
        self.element
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in order. Strings that are not UTF-8 come with their bad bytes replaced.
    pub fn iter(&self) -> ArrayIter<'_> {
        ArrayIter { array: self, cursor: Cursor::new(&self.data), left: self.len }
    }

    /// The strings in order, as bytes; `None` for an array of something else.
    pub fn strings(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let mut cursor = Cursor::new(&self.data);
        // Lengths were checked at opening; should the file have been rewritten since, the walk ends early.
        (self.element == ValueType::String).then(|| (0..self.len).map_while(move |_| cursor.string().ok()))
    }

    /// Walks the array at the cursor: its type, its length, and each element as far as it must to find the end.
    fn read(cursor: &mut Cursor<'_>, bytes: &Bytes, depth: usize) -> Result<Array, Fault> {
        if depth == MAX_DEPTH {
            return Err(Fault::Problem(KeyProblem::TooDeep(MAX_DEPTH)));
        }
        let id = cursor.u32()?;
        let element = ValueType::from_id(id).ok_or(Fault::Problem(KeyProblem::UnknownType(id)))?;
        let count = cursor.u64()?;
        let start = cursor.at();
        let least = cursor.peek(count.saturating_mul(element.least_bytes()))?;
        match element {
            ValueType::String => {
                for _ in 0..count {
                    cursor.string()?;
                }
            }
            ValueType::Array => {
                for _ in 0..count {
                    Array::read(cursor, bytes, depth + 1)?;
                }
            }
            ValueType::Bool => {
                if let Some(other) = least.iter().find(|b| **b > 1) {
                    return Err(Fault::Problem(KeyProblem::NotBool(*other)));
                }
                cursor.take(count)?;
            }
            _ => {
                cursor.take(least.len() as u64)?;
            }
        }
        let end = cursor.at();
        let data = bytes.slice(start..end).ok_or(Short { at: start, bytes: (end - start) as u64 })?;
        // That many elements were just walked, of at least a byte each, so the count fits.
        Ok(Array { element, len: count as usize, data })
    }
}

/// See [`Array::iter`].
pub struct ArrayIter<'a> {
    array: &'a Array,
    cursor: Cursor<'a>,
    left: usize,
}

impl Iterator for ArrayIter<'_> {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        match self.array.element {
            ValueType::String => {
                self.cursor.string().ok().map(|s| Value::String(String::from_utf8_lossy(s).into_owned()))
            }
            ValueType::Array => Array::read(&mut self.cursor, &self.array.data, 0).ok().map(Value::Array),
            kind => Value::number(kind, &mut self.cursor).ok(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}
