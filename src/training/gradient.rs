//! Losses, and the gradient of a peer's round.
//!
//! A page is one sequence of `sequence length + 1` tokens. Each but the first is predicted from those before it.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::lanes::in_order;
use crate::model::{Llama, ParamTensors};

/// Number of parts of the pages when devices share the work: the gradients of a part are summed on a device before they
/// go to the host. More devices than parts have nothing to do.
const DEVICE_PARTS: usize = 8;

/// A mean gradient, and the loss that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// Values in the order of the model's layout.
    pub values: Vec<f32>,
    /// Mean cross-entropy in nats a token.
    pub loss: f64,
}

/// A mean gradient that stays on its device, and the loss that it belongs to.
#[derive(Debug)]
pub struct DeviceGradient {
    /// The gradient.
    pub tensors: ParamTensors,
    /// Mean cross-entropy in nats a token.
    pub loss: f64,
}

/// What the tokens of a page are to be taken for when they are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Labels {
    /// What they are.
    #[default]
    True,
    /// Token t for the one as far from the end of the vocabulary: label flipping.
    Flipped,
}

impl Labels {
    fn apply(self, targets: Arc<[u32]>, vocabulary: usize) -> Arc<[u32]> {
        match self {
            Self::True => targets,
            Self::Flipped => targets.iter().map(|token| vocabulary as u32 - 1 - token).collect(),
        }
    }
}

/// Mean gradient over pages. Each forward and backward pass has `micro_batch` pages.
///
/// Many threads may call it on one model at once: each pass starts from its own leaves, because threads that share
/// leaves share one autodiff graph behind one lock.
///
/// # Panics
/// If there are no pages, if they differ in length, are longer than the model's sequence or hold tokens outside its
/// vocabulary, or if `micro_batch` is 0.
pub fn gradient(model: &Llama, pages: &[Vec<u32>], micro_batch: usize) -> Gradient {
    of_labels(model, pages, Labels::True, micro_batch)
}

/// As [`gradient`], where other tokens than those of the pages may have to be predicted.
pub fn of_labels(model: &Llama, pages: &[Vec<u32>], labels: Labels, micro_batch: usize) -> Gradient {
    if !model.is_fused() {
        let DeviceGradient { tensors, loss } = of_labels_on_device(model, pages, labels, micro_batch);
        return Gradient { values: tensors.into_flat(), loss };
    }
    assert!(!pages.is_empty(), "a gradient needs pages");
    let mut values = vec![0.0; model.config().layout().total()];
    let mut total = 0.0;
    for pages_of_batch in pages.chunks(micro_batch) {
        let leaves = model.clone().train();
        let batch = Batch::new(pages_of_batch);
        let targets = labels.apply(batch.targets, model.config().vocab_size);
        let losses = leaves.token_losses(&batch.inputs, targets, batch.length);
        let weight = pages_of_batch.len() as f64 / pages.len() as f64;
        total += weight * mean(losses.clone().without_autodiff());
        leaves.add_gradients(losses.mean().backward(), weight as f32, &mut values);
    }
    Gradient { values, loss: total }
}

/// Like [`gradient`], for a model that is not [fused](Llama::is_fused). It sums in f32 on the model's device and leaves
/// the result there; memory holds the intermediate results of one block. Returns once the losses are available.
///
/// # Panics
/// Like [`gradient`].
pub fn gradient_on_device(model: &Llama, pages: &[Vec<u32>], micro_batch: usize) -> DeviceGradient {
    of_labels_on_device(model, pages, Labels::True, micro_batch)
}

/// As [`gradient_on_device`], where other tokens than those of the pages may have to be predicted.
pub fn of_labels_on_device(model: &Llama, pages: &[Vec<u32>], labels: Labels, micro_batch: usize) -> DeviceGradient {
    assert!(!pages.is_empty(), "a gradient needs pages");
    let mut tensors = model.zeros();
    let of_batch = |pages_of_batch: &[Vec<u32>]| {
        let Batch { inputs, targets, length } = Batch::new(pages_of_batch);
        let targets = labels.apply(targets, model.config().vocab_size);
        let weight = pages_of_batch.len() as f32 / pages.len() as f32;
        model.add_gradients_by_blocks(&inputs, &targets, length, weight, &mut tensors)
    };
    let losses = pages.chunks(micro_batch).map(of_batch).collect();
    DeviceGradient { loss: mean(Tensor::cat(losses, 0)), tensors }
}

/// Like [`gradient`], on several copies of one model at once: threads of the CPU, or devices of one kind. The bits do
/// not depend on their number, because the results of the parts are summed in order.
///
/// Where gradients are summed on the device, only one sum per eighth of the pages goes to the host.
///
/// # Panics
/// Like [`gradient`], or if there are no models.
pub fn gradient_over(models: &[Llama], pages: &[Vec<u32>], micro_batch: usize) -> Gradient {
    assert!(!pages.is_empty(), "a gradient needs pages");
    let passes = match models[0].is_fused() {
        true => 1,
        false => pages.len().div_ceil(micro_batch).div_ceil(DEVICE_PARTS),
    };
    let parts: Vec<&[Vec<u32>]> = pages.chunks(passes * micro_batch).collect();
    let mut sum = Gradient { values: vec![0.0; models[0].config().layout().total()], loss: 0.0 };
    let work = |model: &Llama, part: &&[Vec<u32>]| gradient(model, part, micro_batch);
    in_order(models, &parts, work, |part, of_part| {
        let weight = part.len() as f64 / pages.len() as f64;
        sum.loss += weight * of_part.loss;
        sum.values.iter_mut().zip(of_part.values).for_each(|(sum, value)| *sum += weight as f32 * value);
    });
    sum
}

/// Mean cross-entropy in nats a token, without autodiff; otherwise like [`gradient`].
pub fn loss(model: &Llama, pages: &[Vec<u32>], micro_batch: usize) -> f64 {
    assert!(!pages.is_empty(), "a loss needs pages");
    let of_batch = |pages_of_batch: &[Vec<u32>]| {
        let batch = Batch::new(pages_of_batch);
        let weight = pages_of_batch.len() as f64 / pages.len() as f64;
        weight * mean(model.token_losses(&batch.inputs, batch.targets, batch.length))
    };
    pages.chunks(micro_batch).map(of_batch).sum()
}

/// Like [`loss`], on several copies of one model at once, with the same bits.
///
/// # Panics
/// Like [`gradient_over`].
pub fn loss_over(models: &[Llama], pages: &[Vec<u32>], micro_batch: usize) -> f64 {
    assert!(!pages.is_empty(), "a loss needs pages");
    let parts: Vec<&[Vec<u32>]> = pages.chunks(micro_batch).collect();
    let mut sum = 0.0;
    let work = |model: &Llama, part: &&[Vec<u32>]| loss(model, part, micro_batch);
    in_order(models, &parts, work, |part, of_part| sum += part.len() as f64 / pages.len() as f64 * of_part);
    sum
}

/// Pages in the form that the model takes.
struct Batch {
    inputs: Vec<u32>,
    targets: Arc<[u32]>,
    length: usize,
}

impl Batch {
    fn new(pages: &[Vec<u32>]) -> Self {
        let length = pages[0].len() - 1;
        assert!(pages.iter().all(|page| page.len() == length + 1), "pages of one length");
        Self {
            inputs: pages.iter().flat_map(|page| &page[..length]).copied().collect(),
            targets: pages.iter().flat_map(|page| &page[1..]).copied().collect(),
            length,
        }
    }
}

/// Mean of a tensor, summed in f64 in order.
fn mean(losses: Tensor<1>) -> f64 {
    let data = losses.into_data();
    let values = data.as_slice::<f32>().expect("f32 losses");
    values.iter().map(|&loss| loss as f64).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;
    use crate::model::{Device, LlamaConfig, init_theta};
    use crate::random;
    use rand::Rng;

    fn nano() -> LlamaConfig {
        LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap()
    }

    fn pages(count: usize, length: usize) -> Vec<Vec<u32>> {
        let mut rng = random::rng(1, "test pages", 0, 0);
        (0..count).map(|_| (0..length).map(|_| rng.next_u32() % 256).collect()).collect()
    }

    fn close(a: &Gradient, b: &Gradient) {
        let largest = a.values.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        for (a, b) in a.values.iter().zip(&b.values) {
            assert!((a - b).abs() <= 1e-4 * largest, "{a} and {b}; largest {largest}");
        }
        assert!((a.loss - b.loss).abs() < 1e-6, "{} and {}", a.loss, b.loss);
    }

    #[test]
    fn micro_batches_do_not_change_the_mean() {
        let config = nano();
        let model = Llama::from_flat(&config, &init_theta(&config, 3), &Device::Cpu);
        let pages = pages(5, 33);
        let whole = gradient(&model, &pages, 5);
        close(&whole, &gradient(&model, &pages, 2));
        assert!((whole.loss - loss(&model, &pages, 2)).abs() < 1e-6);
    }

    #[test]
    fn block_by_block_it_is_the_same_gradient() {
        let config = nano();
        let (theta, pages) = (init_theta(&config, 3), pages(5, 33));
        let fused = Llama::from_flat(&config, &theta, &Device::Cpu);
        let expected = gradient(&fused, &pages, 5);
        for device in Device::UNFUSED {
            let by_blocks = Llama::from_flat(&config, &theta, device);
            assert!(fused.is_fused() && !by_blocks.is_fused());
            for micro_batch in [1, 2, 5] {
                close(&gradient(&by_blocks, &pages, micro_batch), &expected);
            }
            assert!((loss(&by_blocks, &pages, 2) - expected.loss).abs() < 1e-6);
        }
    }

    #[test]
    fn gradient_is_the_slope_of_the_loss() {
        let config = nano();
        let theta = init_theta(&config, 3);
        let pages = pages(2, 17);
        let gradient = gradient(&Llama::from_flat(&config, &theta, &Device::Cpu), &pages, 2);
        let norm = gradient.values.iter().map(|&v| v as f64 * v as f64).sum::<f64>().sqrt();
        let at = |step: f64| {
            let moved: Vec<f32> =
                theta.iter().zip(&gradient.values).map(|(&t, &g)| (t as f64 + step * g as f64 / norm) as f32).collect();
            loss(&Llama::from_flat(&config, &moved, &Device::Cpu), &pages, 2)
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        assert!((slope / norm - 1.0).abs() < 1e-2, "slope {slope}, norm {norm}");
    }

    /// The mirror image of a model's output layer predicts mirrored labels as the model does the true ones: here all
    /// logits are equal, so that only the output layer has a gradient, and that is mirrored.
    #[test]
    fn flipped_labels_mirror_the_gradient_of_the_output_layer() {
        let config = nano();
        let mut theta = init_theta(&config, 3);
        let head = config.layout().tensors.last().unwrap().clone();
        theta[head.range.clone()].fill(0.0);
        let pages = pages(3, 17);
        for device in [Device::Cpu].iter().chain(Device::UNFUSED) {
            let model = Llama::from_flat(&config, &theta, device);
            let honest = of_labels(&model, &pages, Labels::True, 2);
            let flipped = of_labels(&model, &pages, Labels::Flipped, 2);
            assert_eq!(honest, gradient(&model, &pages, 2));
            assert!((honest.loss - flipped.loss).abs() < 1e-6, "{} is {}: {:?}", head.name, honest.loss, head.shape);
            let rows = |gradient: &Gradient| {
                let values = &gradient.values[head.range.clone()];
                values.chunks(config.hidden_size).map(<[f32]>::to_vec).collect::<Vec<_>>()
            };
            let mut mirrored = rows(&flipped);
            mirrored.reverse();
            for (a, b) in rows(&honest).concat().iter().zip(mirrored.concat()) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }

    #[test]
    fn any_number_of_models_gives_the_same_bits() {
        let config = nano();
        let theta = init_theta(&config, 3);
        let pages = pages(37, 33);
        for device in [Device::Cpu].iter().chain(Device::UNFUSED) {
            let models = |count| vec![Llama::from_flat(&config, &theta, device); count];
            let [one, two, three] = [1, 2, 3].map(|count| gradient_over(&models(count), &pages, 2));
            assert!(one == two && one == three, "{device}");
            close(&one, &gradient(&models(1)[0], &pages, 2));
            let expected = loss(&models(1)[0], &pages, 2);
            assert_eq!([1, 2, 3].map(|count| loss_over(&models(count), &pages, 2)), [expected; 3]);
        }
    }

    #[test]
    fn on_the_cpu_threads_give_the_bits_of_one() {
        let config = nano();
        let model = Llama::from_flat(&config, &init_theta(&config, 3), &Device::Cpu);
        let pages = pages(7, 33);
        assert_eq!(gradient_over(&vec![model.clone(); 2], &pages, 2), gradient(&model, &pages, 2));
    }

    #[test]
    fn threads_on_one_model_get_the_same_bits() {
        let config = nano();
        let model = Llama::from_flat(&config, &init_theta(&config, 3), &Device::Cpu);
        let pages = pages(6, 33);
        let expected = gradient(&model, &pages, 2);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| assert_eq!(gradient(&model, &pages, 2), expected)));
            }
        });
    }
}
