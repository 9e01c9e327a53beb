//! # kernels
