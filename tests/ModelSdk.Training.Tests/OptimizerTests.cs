using ModelSdk.Training.Optimizers;
using static TorchSharp.torch;

namespace ModelSdk.Training.Tests;

public sealed class OptimizerTests
{
    [Fact]
    public void AdamW_follows_its_formula()
    {
        using var scope = NewDisposeScope();
        var parameter = tensor([1.0f, -2.0f], requires_grad: true);
        using var optimizer = new AdamW([parameter], weightDecay: 0.1);
        double[] x = [1, -2], m = [0, 0], v = [0, 0];
        for (var step = 1; step <= 3; step++)
        {
            (parameter.square().sum() * 1.5).backward(); // gradient 3 x
            for (var i = 0; i < 2; i++)
            {
                var gradient = 3 * x[i];
                m[i] = (0.9 * m[i]) + (0.1 * gradient);
                v[i] = (0.999 * v[i]) + (0.001 * gradient * gradient);
                x[i] = (x[i] * (1 - (0.05 * 0.1))) - (0.05 * (m[i] / (1 - Math.Pow(0.9, step))) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.999, step))) + 1e-8));
            }

            optimizer.Step(0.05);
            TransformerTests.AssertClose(x, Transformer.Values(parameter), 1e-6);
        }
    }

    [Theory]
    [InlineData(8, 24)]
    [InlineData(24, 8)]
    public void Muon_brings_singular_values_near_one(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var update = Muon.Orthogonalize(randn([3, rows, columns], generator: generator));
        var singular = Transformer.Values(linalg.svdvals(update));
        Assert.All(singular, s => Assert.InRange(s, 0.5, 1.4));
    }

    [Fact]
    public void Clipping_limits_the_joint_norm_and_reports_the_one_before()
    {
        using var scope = NewDisposeScope();
        var a = tensor([3.0f], requires_grad: true);
        var b = tensor([4.0f], requires_grad: true);
        ((a * 3) + (b * 4)).sum().backward();
        Assert.Equal(5, GradientClipping.Clip([a, b], 0), 1e-6);
        Assert.Equal(5, GradientClipping.Clip([a, b], 1), 1e-6);
        Assert.Equal(0.6, a.grad!.item<float>(), 1e-5);
        Assert.Equal(0.8, b.grad!.item<float>(), 1e-5);
    }
}
