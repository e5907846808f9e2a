using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>Cross entropy of rows of logits, with its gradient.</summary>
internal static unsafe class CrossEntropyKernel
{
    /// <summary>Weighted sum of the cross entropies; the logits are replaced by their gradients, weight (softmax - one hot).</summary>
    /// <param name="logits">[N, V]; overwritten.</param>
    /// <param name="targets">Right token of each row.</param>
    /// <param name="weights">Weight of each row; null: <paramref name="weight"/> for all.</param>
    /// <param name="weight">Multiplies every weight.</param>
    public static double Run<T>(Tensor logits, long[] targets, float[]? weights, double weight)
        where T : IElement
    {
        int rows = (int)logits.shape[0], width = (int)logits.shape[1];
        var values = KernelSupport.Pointer(logits);
        var losses = new double[rows];
        Team.For(rows, 16, (from, to) =>
        {
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
                    sums += VectorMath.Exp(T.Load(values, at + i) - top);
                }

                for (; i < width; i++)
                {
                    sum += MathF.Exp(T.Get(values, at + i) - highest);
                }

                sum += Vector512.Sum(sums);
                var share = (weights?[row] ?? 1) * weight;
                var right = T.Get(values, at + (nint)targets[row]);
                losses[row] = share * (highest + Math.Log(sum) - right);
                var scale = Vector512.Create((float)(share / sum));
                for (i = 0; i <= width - 16; i += 16)
                {
                    T.Store(values, at + i, VectorMath.Exp(T.Load(values, at + i) - top) * scale);
                }

                for (; i < width; i++)
                {
                    T.Set(values, at + i, (float)(MathF.Exp(T.Get(values, at + i) - highest) * share / sum));
                }

                T.Set(values, at + (nint)targets[row], (float)(share * ((Math.Exp((double)right - highest) / sum) - 1)));
            }
        });
        return losses.Sum();
    }
}
