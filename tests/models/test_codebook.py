"""The codebook: what is rounded to what, and how the codes follow what is rounded to them."""

import math

import pytest
import torch
from monai.networks.layers.vector_quantizer import EMAQuantizer
from torch import Tensor

from voxgen.models.first_stage.codebook import Codebook, perplexity

DECAY = 0.75


def codebook(*vectors: tuple[float, ...], restart: float = 0.125) -> Codebook:
    """Of given vectors, each of which has been used twice a volume so far."""
    made = Codebook(len(vectors), len(vectors[0]), DECAY, restart)
    made.embedding.weight.copy_(torch.tensor(vectors))
    made.ema_cluster_size.fill_(2.0)
    made.ema_w.copy_(2 * made.embedding.weight)
    return made


def latents(*vectors: tuple[float, ...], volumes: int = 1) -> Tensor:
    """(B, C, x, 1, 1) of the vectors in their order."""
    rows = torch.tensor(vectors).view(volumes, -1, len(vectors[0]))
    return rows.mT[..., None, None]


def test_a_latent_goes_to_the_nearest_code_and_of_two_to_the_first() -> None:
    book = codebook((0.0, 0.0), (4.0, 0.0), (0.0, 4.0))
    z = latents((1.0, 1.5), (2.5, 0.0), (2.0, 0.0), (-9.0, 3.0))
    codes = book.nearest(z)
    assert codes.shape == (1, 4, 1, 1)
    assert codes.flatten().tolist() == [0, 1, 0, 2]
    expected = latents((0.0, 0.0), (4.0, 0.0), (0.0, 0.0), (0.0, 4.0))
    assert torch.equal(book.vectors(codes), expected)


def test_distances_are_those_of_fp32() -> None:
    """Bf16 tells neither these codes nor this sum from its neighbours."""
    book = codebook((1.0,), (1.001,))
    z = latents((1.0012,), *[(1.001,)] * 999)
    with torch.autocast("cpu", torch.bfloat16):
        codes = book.nearest(z)
        count, total = book.seen(z, codes)
    assert codes.unique().tolist() == [1]
    assert count.tolist() == [0.0, 1000.0]
    assert total[1].item() == pytest.approx(1001.0002, abs=0.01)  # in bf16: 1000


def test_axes_keep_their_order() -> None:
    torch.manual_seed(0)
    book = Codebook(7, 3, DECAY, 0.1)
    codes = torch.randint(7, (2, 3, 4, 5))
    vectors = book.vectors(codes)
    assert vectors.shape == (2, 3, 3, 4, 5)
    assert torch.equal(vectors[1, :, 2, 3, 4], book.embedding.weight[codes[1, 2, 3, 4]])
    assert torch.equal(book.nearest(vectors), codes)


def test_what_was_seen_is_told_per_volume() -> None:
    book = codebook((0.0,), (10.0,), (20.0,))
    z = latents((1.0,), (2.0,), (11.0,), (9.0,), (-1.0,), (8.0,), volumes=2)
    count, total = book.seen(z, book.nearest(z))
    assert count.tolist() == [1.5, 1.5, 0.0]  # 3 and 3 latents, in 2 volumes
    assert total.tolist() == [[1.0], [14.0], [0.0]]


def test_the_codes_are_averages_of_their_latents() -> None:
    """By hand, over two steps with a decay of 3/4."""
    book = codebook((0.0, 0.0), (4.0, 0.0))
    elsewhere = torch.full((2, 2), 99.0)
    for z in (latents((1.0, 1.0), (3.0, 2.0)), latents((1.0, 0.0), (0.0, -1.0), (5.0, 1.0))):
        assert book.follow(*book.seen(z, book.nearest(z)), elsewhere) == 0
    # sizes: 2 -> 1.5 + 0.25 = 1.75 -> 1.3125 + 0.5, and for the other code 1.3125 + 0.25
    assert book.ema_cluster_size.tolist() == [1.8125, 1.5625]
    # sums: (0, 0) -> (0.25, 0.25) -> (0.1875, 0.1875) + (0.25, -0.25)
    #       (8, 0) -> (6.75, 0.5) -> (5.0625, 0.375) + (1.25, 0.25)
    assert book.ema_w.tolist() == [[0.4375, -0.0625], [6.3125, 0.625]]
    expected = torch.tensor([[0.4375 / 1.8125, -0.0625 / 1.8125], [6.3125 / 1.5625, 0.625 / 1.5625]])
    torch.testing.assert_close(book.embedding.weight, expected)


def test_codes_move_as_monais_do() -> None:
    """Whose sizes are of a batch, not of a volume, and smoothed by 1e-5."""
    torch.manual_seed(0)
    ours, monais = Codebook(5, 3, DECAY, 1e-6), EMAQuantizer(3, 5, 3, decay=DECAY).train()
    monais.ema_cluster_size.fill_(4.0 * 20)
    monais.ema_w.copy_(4.0 * 20 * monais.embedding.weight)
    ours.load_state_dict(monais.state_dict())
    for size in (ours.ema_cluster_size, ours.ema_w):
        size /= 4
    for _ in range(3):
        z = torch.randn(4, 3, 5, 2, 10)
        with torch.no_grad():
            vectors, _, codes = monais(z)
        assert torch.equal(ours.nearest(z), codes)
        torch.testing.assert_close(ours.vectors(codes), vectors)
        ours.follow(*ours.seen(z, codes), torch.zeros(5, 3))
        torch.testing.assert_close(ours.embedding.weight, monais.embedding.weight, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(4 * ours.ema_cluster_size, monais.ema_cluster_size)


def test_a_dead_code_starts_again_at_its_candidate() -> None:
    book = codebook((0.0,), (10.0,), (20.0,), restart=0.25)
    z, candidates = latents((0.0,), (0.0,), (10.0,), (10.0,)), torch.tensor([[7.0], [8.0], [9.0]])
    restarts = []
    for _ in range(6):
        restarts.append(int(book.follow(*book.seen(z, book.nearest(z)), candidates)))
        if restarts[-1]:
            break
    # the size of the third falls by 3/4 a step, from 2, while the others keep theirs: 0.25 of a mean of
    # (4 + size) / 3 is above it once it is below 4 / 11
    assert restarts == [0] * 5 + [1]
    assert book.embedding.weight.flatten().tolist() == [0.0, 10.0, 9.0]
    size = 2 * 0.75**6
    assert book.ema_cluster_size.tolist() == pytest.approx([2.0, 2.0, (4 + size) / 3])
    assert book.follow(*book.seen(z, book.nearest(z)), candidates) == 0


def test_a_new_codebook_begins_at_the_latents() -> None:
    torch.manual_seed(0)
    book = Codebook(6, 1, 0.99, 0.05)
    z = latents((100.0,), (101.0,), (200.0,))
    count, total = book.seen(z, book.nearest(z))
    used = int((count > 0).sum())
    candidates = torch.tensor([[100.0], [101.0], [200.0]] * 2)
    assert book.follow(count, total, candidates) == 6 - used
    for code in range(6):
        expected = total[code] / count[code] if count[code] else candidates[code]
        assert book.embedding.weight[code].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ([1.0, 0.0, 0.0], 1.0),
        ([3.0, 3.0, 3.0, 3.0], 4.0),
        ([2.0, 2.0, 0.0, 0.0], 2.0),
        ([0.75, 0.25], math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))),
    ],
)
def test_perplexity_is_the_number_of_codes_that_are_equally_used(use: list[float], expected: float) -> None:
    assert perplexity(torch.tensor(use)).item() == pytest.approx(expected, rel=1e-6)
