//! A model's products, each with the change of low rank that is trained in its place, where one is.

use super::layout::Projection;
use super::model::Model;
use sai_kernels::{LowRank, Training};

/// What products are computed from.
pub(super) struct Products<'m, D: Training> {
    pub(super) device: &'m D,
    pub(super) parameters: &'m D::Buffer,
    /// The changes' own parameters. Where there are any, only these are trained.
    adapters: Option<&'m D::Buffer>,
}

impl<D: Training> Model<D> {
    pub(super) fn products(&self) -> Products<'_, D> {
        let adapters = self.adapter.as_ref().map(|adapter| &adapter.parameters);
        Products { device: &self.device, parameters: &self.parameters, adapters }
    }

    /// Both at once, for backward.
    pub(super) fn products_and_gradients(&mut self) -> (Products<'_, D>, &mut D::Buffer) {
        let Model { device, parameters, adapter, gradients, .. } = self;
        let adapters = adapter.as_ref().map(|adapter| &adapter.parameters);
        (Products { device, parameters, adapters }, gradients)
    }
}

impl<D: Training> Products<'_, D> {
    /// `out = x · wᵀ`, with bias, change and `residual`. `low` is room, as with [`Training::adapt`].
    pub(super) fn forward(
        &self,
        x: &D::Buffer,
        by: &Projection,
        residual: Option<&D::Buffer>,
        low: &mut D::Buffer,
        out: &mut D::Buffer,
    ) {
        self.device.project(x, self.parameters, by.weight, by.bias, residual, out);
        for (adapters, change) in self.changes(by) {
            self.device.adapt(x, adapters, change, low, out);
        }
    }

    /// Sets `d_x`.
    pub(super) fn backward(
        &self,
        d_out: &D::Buffer,
        by: &Projection,
        low: &mut D::Buffer,
        d_x: &mut D::Buffer,
    ) {
        self.device.project_backward(d_out, self.parameters, by.weight, d_x);
        for (adapters, change) in self.changes(by) {
            self.device.adapt_backward(d_out, adapters, change, low, d_x);
        }
    }

    /// Adds to the gradients of what is trained.
    pub(super) fn gradient(
        &self,
        d_out: &D::Buffer,
        x: &D::Buffer,
        by: &Projection,
        low: &mut D::Buffer,
        gradients: &mut D::Buffer,
    ) {
        if let Some(gradients) = self.unless_frozen(gradients) {
            self.device.project_gradient(d_out, x, by.weight, by.bias, gradients);
        }
        for (adapters, change) in self.changes(by) {
            self.device.adapt_gradient(d_out, x, adapters, change, low, gradients);
        }
    }

    /// The gradients, where they are the model's own.
    pub(super) fn unless_frozen<'g>(&self, gradients: &'g mut D::Buffer) -> Option<&'g mut D::Buffer> {
        self.adapters.is_none().then_some(gradients)
    }

    fn changes<'a>(&'a self, by: &'a Projection) -> impl Iterator<Item = (&'a D::Buffer, &'a LowRank)> {
        self.adapters.into_iter().flat_map(|adapters| by.changes.iter().flatten().map(move |c| (adapters, c)))
    }
}
