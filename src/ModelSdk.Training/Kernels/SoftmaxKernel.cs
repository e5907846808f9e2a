using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>Softmax of attention scores over what each token sees; no mask tensor is needed.</summary>
internal static unsafe class SoftmaxKernel
{
    private const int Grain = 1;

    /// <summary>Scores become probabilities in place; columns that a token does not see become 0.</summary>
    /// <param name="geometry">Batch.</param>
    /// <param name="scores">[B KVH, G T, S].</param>
    public static void Forward<T>(AttentionGeometry geometry, Tensor scores)
        where T : IElement
    {
        int columns = geometry.Columns, length = geometry.Length, kv = geometry.Config.KeyValueHeads, group = geometry.Group, past = geometry.Past;
        var values = KernelSupport.Pointer(scores);
        Team.For(geometry.Rows * kv, Grain, (from, to) =>
        {
            var lanes = Vector512.Create(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            var exponentials = stackalloc float[Math.Min(columns, 8192)];
            if (columns > 8192)
            {
                throw new NotSupportedException("Attention over more than 8192 places needs another kernel.");
            }

            for (var unit = from; unit < to; unit++)
            {
                int row = unit / kv, prompt = geometry.Starts[row];
                for (var line = 0; line < group * length; line++)
                {
                    var t = line % length;
                    int first = past + (geometry.First?[(row * length) + t] ?? 0), last = past + t;
                    var at = ((nint)unit * group * length * columns) + ((nint)line * columns);
                    var highest = Vector512.Create(float.NegativeInfinity);
                    for (var i = 0; i <= last; i += 16)
                    {
                        highest = Vector512.Max(highest, Vector512.ConditionalSelect(Seen(lanes + Vector512.Create(i), prompt, first, last), T.Load(values, at + i), Vector512.Create(float.NegativeInfinity)));
                    }

                    var top = Vector512.Create(MaxOf(highest));
                    var sums = Vector512<float>.Zero;
                    for (var i = 0; i <= last; i += 16)
                    {
                        var e = Vector512.ConditionalSelect(Seen(lanes + Vector512.Create(i), prompt, first, last), VectorMath.Exp(T.Load(values, at + i) - top), Vector512<float>.Zero);
                        sums += e;
                        e.Store(exponentials + i);
                    }

                    var scale = 1 / Vector512.Sum(sums);
                    var done = 0;
                    for (; done <= last; done += 16)
                    {
                        T.Store(values, at + done, Vector512.Load(exponentials + done) * scale);
                    }

                    for (; done < columns; done += 16)
                    {
                        T.Store(values, at + done, Vector512<float>.Zero);
                    }
                }
            }
        });
    }

    /// <summary>Gradient of the scores, p (g - sum(p g)), in place of that of the probabilities.</summary>
    /// <param name="geometry">Batch.</param>
    /// <param name="probabilities">[B KVH, G T, S].</param>
    /// <param name="gradient">[B KVH, G T, S], gradient of the probabilities; overwritten.</param>
    public static void Backward<T>(AttentionGeometry geometry, Tensor probabilities, Tensor gradient)
        where T : IElement
    {
        int columns = geometry.Columns, length = geometry.Length, group = geometry.Group, past = geometry.Past;
        void* p = KernelSupport.Pointer(probabilities), g = KernelSupport.Pointer(gradient);
        Team.For(geometry.Rows * geometry.Config.KeyValueHeads, Grain, (from, to) =>
        {
            for (var unit = from; unit < to; unit++)
            {
                for (var line = 0; line < group * length; line++)
                {
                    var last = past + (line % length);
                    var at = ((nint)unit * group * length * columns) + ((nint)line * columns);
                    var products = Vector512<float>.Zero;
                    for (var i = 0; i <= last; i += 16)
                    {
                        products = Vector512.FusedMultiplyAdd(T.Load(p, at + i), T.Load(g, at + i), products);
                    }

                    var mean = Vector512.Create(Vector512.Sum(products));
                    var done = 0;
                    for (; done <= last; done += 16)
                    {
                        T.Store(g, at + done, T.Load(p, at + done) * (T.Load(g, at + done) - mean));
                    }

                    for (; done < columns; done += 16)
                    {
                        T.Store(g, at + done, Vector512<float>.Zero);
                    }
                }
            }
        });
    }

    private static Vector512<float> Seen(Vector512<int> column, int prompt, int first, int last) =>
        (Vector512.LessThan(column, Vector512.Create(prompt))
        | (Vector512.GreaterThanOrEqual(column, Vector512.Create(first)) & Vector512.LessThanOrEqual(column, Vector512.Create(last)))).AsSingle();

    private static float MaxOf(Vector512<float> values)
    {
        var half = Vector256.Max(values.GetLower(), values.GetUpper());
        var quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        return MathF.Max(MathF.Max(quarter[0], quarter[1]), MathF.Max(quarter[2], quarter[3]));
    }
}
