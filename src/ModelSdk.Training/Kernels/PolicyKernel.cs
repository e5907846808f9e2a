using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>Log-probabilities of chosen tokens at a temperature, and the gradient of a loss that depends on them.</summary>
internal static unsafe class PolicyKernel
{
    /// <summary>Log-probability of one token a row: log softmax(logits / temperature) at the target.</summary>
    /// <param name="logits">[N, V].</param>
    /// <param name="targets">Token of each row.</param>
    /// <param name="temperature">Above 0.</param>
    /// <param name="gradient">
    /// Gets row and log-probability, gives d loss / d log-probability; the logits are then replaced by d loss / d logits, which is
    /// (gradient / temperature) (one hot - softmax). Null: the logits stay. Called by several threads at once.
    /// </param>
    public static float[] Run<T>(Tensor logits, long[] targets, double temperature, Func<int, float, double>? gradient)
        where T : IElement
    {
        int rows = (int)logits.shape[0], width = (int)logits.shape[1];
        var values = KernelSupport.Pointer(logits);
        var found = new float[rows];
        var inverse = (float)(1 / temperature);
        Team.For(rows, 16, (from, to) =>
        {
            var inverses = Vector512.Create(inverse);
            for (var row = from; row < to; row++)
            {
                var at = (nint)row * width;
                var highest = float.NegativeInfinity;
                var tops = Vector512.Create(float.NegativeInfinity);
                var i = 0;
                for (; i <= width - 16; i += 16)
                {
                    tops = Vector512.Max(tops, T.Load(values, at + i));
                }

                for (; i < width; i++)
                {
                    highest = MathF.Max(highest, T.Get(values, at + i));
                }

                for (i = 0; i < 16; i++)
                {
                    highest = MathF.Max(highest, tops[i]);
                }

                var top = Vector512.Create(highest);
                var sums = Vector512<float>.Zero;
                double sum = 0;
                for (i = 0; i <= width - 16; i += 16)
                {
                    sums += VectorMath.Exp((T.Load(values, at + i) - top) * inverses);
                }

                for (; i < width; i++)
                {
                    sum += MathF.Exp((T.Get(values, at + i) - highest) * inverse);
                }

                sum += Vector512.Sum(sums);
                var right = ((double)T.Get(values, at + (nint)targets[row]) - highest) * inverse;
                found[row] = (float)(right - Math.Log(sum));
                if (gradient is null)
                {
                    continue;
                }

                var share = gradient(row, found[row]) / temperature;
                var scale = Vector512.Create((float)(-share / sum));
                for (i = 0; i <= width - 16; i += 16)
                {
                    T.Store(values, at + i, VectorMath.Exp((T.Load(values, at + i) - top) * inverses) * scale);
                }

                for (; i < width; i++)
                {
                    T.Set(values, at + i, (float)(-share * MathF.Exp((T.Get(values, at + i) - highest) * inverse) / sum));
                }

                T.Set(values, at + (nint)targets[row], (float)(share * (1 - (Math.Exp(right) / sum))));
            }
        });
        return found;
    }
}
