# SPDX-License-Identifier: Apache-2.0
"""The variational bottleneck: its divergence, noise in training only, and a start that changes nothing."""

import pytest
import torch
from network_tools import tiny
from torch.distributions import Normal, kl_divergence

from bimtdp_torch.networks.bottleneck import MU_KINDS, Bottlenecks, VariationalBottleneck, gaussian_kl


def test_divergence_is_that_of_gaussians():
    mu, logvar = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 3, 4)
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected)
    assert gaussian_kl(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)) == 0


@pytest.mark.parametrize("kind", MU_KINDS)
def test_noise_in_training_only(kind):
    layer = VariationalBottleneck(4, kind)
    layer.logvar.bias.data.fill_(2 * torch.log(torch.tensor(0.5)))
    x = torch.randn(2, 4, 40, 50)
    layer.eval()
    mu, _ = layer.distribution(x)
    assert torch.equal(layer(x), mu) and torch.equal(layer(x), layer(x))
    layer.train()
    torch.manual_seed(0)
    mu, _ = layer.distribution(x)
    noise = layer(x) - mu
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 0.5) < 0.02


def test_logvar_is_clamped_and_parameters_learn():
    layer = VariationalBottleneck(3)
    layer.logvar.bias.data = torch.tensor([-50.0, 0.0, 50.0])
    _, logvar = layer.distribution(torch.zeros(1, 3, 1, 1))
    assert logvar.flatten().tolist() == [-10.0, 0.0, 10.0]
    scales = Bottlenecks((3, 5), "float", None)
    samples, means, divergence = scales.with_divergence([torch.randn(1, 3, 4, 4), torch.randn(1, 5, 2, 2)])
    (divergence + sum(s.square().mean() for s in samples)).backward()
    assert all(p.grad is not None for p in scales.parameters())
    assert not torch.equal(samples[0], means[0])
    expected = torch.stack([gaussian_kl(m, torch.full_like(m, -4.0)) for m in means]).mean()
    torch.testing.assert_close(divergence, expected)


def test_float_mu_starts_as_the_identity():
    """A network with a new bottleneck computes what the one without does."""
    plain, filtered = tiny("bi_mtdp"), tiny("bi_mtdp_f")
    missing, unexpected = filtered.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(key.startswith("bottleneck.") for key in missing)
    x = torch.randn(1, 3, 32, 64)
    ours, theirs = filtered.eval()(x), plain.eval()(x)
    assert all(torch.equal(ours[t], theirs[t]) for t in theirs)
    assert not torch.equal(
        filtered.train().training_outputs(x.expand(2, -1, -1, -1))["maps"]["depth"],
        filtered.training_outputs(x.expand(2, -1, -1, -1))["maps"]["depth"],
    )
