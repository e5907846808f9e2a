using ModelSdk.Training.Optimizers;
using static TorchSharp.torch;

namespace ModelSdk.Training.Tests;

public sealed class PretrainingStepTests
{
    /// <summary>A whole training loop in small: Muon on hidden matrices, AdamW on the rest, two micro-batches a step.</summary>
    private static List<double> Train(ComputeOptions compute, int steps)
    {
        using var model = Transformer.Create(Shapes.Tiny(), seed: 7, compute);
        using var muon = new Muon(model.Parameters.Where(p => p.Kind == ParameterKind.Matrix));
        using var adam = new AdamW(model.Parameters.Where(p => p.Kind != ParameterKind.Matrix).Select(p => p.Value), beta2: 0.95);
        var random = new Random(3);
        var losses = new List<double>();
        for (var step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            var batches = Enumerable.Range(0, 2).Select(_ => CountingBatch(random)).ToArray();
            var total = batches.Sum(b => b.TotalWeight);
            var sum = 0.0;
            foreach (var batch in batches)
            {
                using var inner = NewDisposeScope();
                var loss = model.Loss(batch, total);
                loss.backward();
                sum += loss.item<float>();
            }

            GradientClipping.Clip(model.Parameters.Select(p => p.Value), 1);
            muon.Step(0.01);
            adam.Step(0.005);
            losses.Add(sum);
        }

        return losses;
    }

    /// <summary>Rows that count up by a random stride; the stride shows after two tokens.</summary>
    private static TokenBatch CountingBatch(Random random)
    {
        const int rows = 8, length = 12;
        var ids = new long[rows * length];
        var weights = new float[rows * length];
        for (var r = 0; r < rows; r++)
        {
            int start = random.Next(50), stride = 1 + random.Next(4);
            for (var t = 0; t < length; t++)
            {
                ids[(r * length) + t] = (start + (t * stride)) % 61;
                weights[(r * length) + t] = t < 2 ? 0 : 1;
            }
        }

        return new TokenBatch { Ids = ids, Rows = rows, LossWeights = weights };
    }

    [Fact]
    public void A_training_loop_learns_to_count()
    {
        var losses = Train(ComputeOptions.Full, 60);
        Assert.InRange(losses[0], 3.5, 4.6); // ln 61 = 4.1
        Assert.InRange(losses[^1], 0, losses[0] * 0.6);
    }

    [Fact]
    public void The_same_seed_gives_the_same_losses_to_the_last_bit()
    {
        Assert.Equal(Train(ComputeOptions.Fastest, 5), Train(ComputeOptions.Fastest, 5));
    }
}
