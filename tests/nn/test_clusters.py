import torch

from toccata.nn.clusters import ClusterQuantiser


def test_every_frame_gets_the_code_of_its_cluster_and_that_code_s_vector():
    torch.manual_seed(0)
    quantiser = ClusterQuantiser(4, 3, 2)
    middles_VD = 10 * torch.eye(4)[:3]
    x_BTD = (middles_VD[torch.arange(30) % 3] + 0.1 * torch.randn(30, 4)).view(2, 15, 4)
    quantiser.start(x_BTD.flatten(0, 1), torch.Generator().manual_seed(1))
    chosen = quantiser(x_BTD)
    of_V = chosen.codes_BT.flatten()[:3]
    assert sorted(of_V.tolist()) == [0, 1, 2]
    assert torch.equal(chosen.codes_BT.flatten(), of_V.repeat(10))
    torch.testing.assert_close(chosen.vectors_BTW, quantiser.codes_VW[chosen.codes_BT])
    assert torch.equal(chosen.shares_BTV.argmax(-1), chosen.codes_BT)


def test_training_moves_the_vectors_and_not_the_centres():
    quantiser = ClusterQuantiser(4, 3, 2)
    quantiser.start(torch.randn(20, 4), torch.Generator().manual_seed(0))
    before = quantiser.centres.codes_VD.clone()
    quantiser(torch.randn(1, 5, 4)).vectors_BTW.sum().backward()
    assert quantiser.codes_VW.grad is not None
    assert torch.equal(quantiser.centres.codes_VD, before)
