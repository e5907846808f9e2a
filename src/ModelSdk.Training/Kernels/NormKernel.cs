using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>RMSNorm without gain over rows [N, D], with the residual additions around it.</summary>
internal static unsafe class NormKernel
{
    private const int Grain = 64;

    /// <summary>sum = x + addend (or x); y = sum * r; r = 1 / sqrt(mean(sum^2) + epsilon).</summary>
    /// <param name="x">[N, D].</param>
    /// <param name="addend">[N, D], becomes the sum; or null.</param>
    /// <param name="y">[N, D], written.</param>
    /// <param name="scales">fp32 [N], r, written.</param>
    /// <param name="epsilon">Constant under the root.</param>
    public static void Forward<T>(Tensor x, Tensor? addend, Tensor y, Tensor scales, double epsilon)
        where T : IElement
    {
        int rows = (int)x.shape[0], width = (int)x.shape[1];
        void* input = KernelSupport.Pointer(x), sum = addend is null ? null : KernelSupport.Pointer(addend), output = KernelSupport.Pointer(y);
        var r = (float*)KernelSupport.Pointer(scales);
        Team.For(rows, Grain, (from, to) =>
        {
            for (var row = from; row < to; row++)
            {
                var at = (nint)row * width;
                var squares = Vector512<float>.Zero;
                var rest = 0.0f;
                var i = 0;
                for (; i <= width - 16; i += 16)
                {
                    var value = T.Load(input, at + i);
                    if (sum is not null)
                    {
                        value += T.Load(sum, at + i);
                        T.Store(sum, at + i, value);
                    }

                    squares = Vector512.FusedMultiplyAdd(value, value, squares);
                }

                for (; i < width; i++)
                {
                    var value = T.Get(input, at + i);
                    if (sum is not null)
                    {
                        value += T.Get(sum, at + i);
                        T.Set(sum, at + i, value);
                    }

                    rest += value * value;
                }

                var scale = (float)(1 / Math.Sqrt(((Vector512.Sum(squares) + rest) / width) + epsilon));
                r[row] = scale;
                var source = sum is null ? input : sum;
                for (i = 0; i <= width - 16; i += 16)
                {
                    T.Store(output, at + i, T.Load(source, at + i) * scale);
                }

                for (; i < width; i++)
                {
                    T.Set(output, at + i, T.Get(source, at + i) * scale);
                }
            }
        });
    }

    /// <summary>result = residual + r (g - x r^2 mean(g x)): the gradient of the norm's input, joined with the one that went around the norm.</summary>
    /// <param name="gradient">[N, D], gradient of y.</param>
    /// <param name="x">[N, D], input of the norm.</param>
    /// <param name="scales">fp32 [N], r.</param>
    /// <param name="residual">[N, D] or null.</param>
    /// <param name="result">[N, D], written; may be <paramref name="gradient"/>.</param>
    public static void Backward<T>(Tensor gradient, Tensor x, Tensor scales, Tensor? residual, Tensor result)
        where T : IElement
    {
        int rows = (int)x.shape[0], width = (int)x.shape[1];
        void* g = KernelSupport.Pointer(gradient), input = KernelSupport.Pointer(x), around = residual is null ? null : KernelSupport.Pointer(residual), output = KernelSupport.Pointer(result);
        var r = (float*)KernelSupport.Pointer(scales);
        Team.For(rows, Grain, (from, to) =>
        {
            for (var row = from; row < to; row++)
            {
                var at = (nint)row * width;
                var products = Vector512<float>.Zero;
                var rest = 0.0f;
                var i = 0;
                for (; i <= width - 16; i += 16)
                {
                    products = Vector512.FusedMultiplyAdd(T.Load(g, at + i), T.Load(input, at + i), products);
                }

                for (; i < width; i++)
                {
                    rest += T.Get(g, at + i) * T.Get(input, at + i);
                }

                var scale = r[row];
                var pull = -scale * scale * scale * (Vector512.Sum(products) + rest) / width;
                for (i = 0; i <= width - 16; i += 16)
                {
                    var value = Vector512.FusedMultiplyAdd(T.Load(input, at + i), Vector512.Create(pull), T.Load(g, at + i) * scale);
                    T.Store(output, at + i, around is null ? value : value + T.Load(around, at + i));
                }

                for (; i < width; i++)
                {
                    var value = (T.Get(input, at + i) * pull) + (T.Get(g, at + i) * scale);
                    T.Set(output, at + i, around is null ? value : value + T.Get(around, at + i));
                }
            }
        });
    }
}
