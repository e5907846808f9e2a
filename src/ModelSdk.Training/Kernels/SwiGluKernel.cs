using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>silu(gate) * up over rows of [gate, up].</summary>
internal static unsafe class SwiGluKernel
{
    private const int Grain = 32;

    /// <summary>[N, 2 F] -> [N, F].</summary>
    public static void Forward<T>(Tensor gateUp, Tensor result)
        where T : IElement
    {
        int rows = (int)result.shape[0], width = (int)result.shape[1];
        void* input = KernelSupport.Pointer(gateUp), output = KernelSupport.Pointer(result);
        Team.For(rows, Grain, (from, to) =>
        {
            for (var row = from; row < to; row++)
            {
                nint gates = (nint)row * 2 * width, ups = gates + width, at = (nint)row * width;
                var i = 0;
                for (; i <= width - 16; i += 16)
                {
                    var gate = T.Load(input, gates + i);
                    T.Store(output, at + i, gate * VectorMath.Sigmoid(gate) * T.Load(input, ups + i));
                }

                for (; i < width; i++)
                {
                    var gate = T.Get(input, gates + i);
                    T.Set(output, at + i, gate / (1 + MathF.Exp(-gate)) * T.Get(input, ups + i));
                }
            }
        });
    }

    /// <summary>Gradient of [gate, up]: [N, 2 F].</summary>
    /// <param name="gradient">[N, F], gradient of the product.</param>
    /// <param name="gateUp">[N, 2 F], the input.</param>
    /// <param name="result">[N, 2 F], written.</param>
    public static void Backward<T>(Tensor gradient, Tensor gateUp, Tensor result)
        where T : IElement
    {
        int rows = (int)gradient.shape[0], width = (int)gradient.shape[1];
        void* g = KernelSupport.Pointer(gradient), input = KernelSupport.Pointer(gateUp), output = KernelSupport.Pointer(result);
        Team.For(rows, Grain, (from, to) =>
        {
            for (var row = from; row < to; row++)
            {
                nint gates = (nint)row * 2 * width, ups = gates + width, at = (nint)row * width;
                var i = 0;
                for (; i <= width - 16; i += 16)
                {
                    var gate = T.Load(input, gates + i);
                    var sigmoid = VectorMath.Sigmoid(gate);
                    var silu = gate * sigmoid;
                    var incoming = T.Load(g, at + i);
                    // silu' = s (1 + x (1 - s)) = s + silu (1 - s)
                    T.Store(output, gates + i, incoming * T.Load(input, ups + i) * Vector512.FusedMultiplyAdd(silu, Vector512<float>.One - sigmoid, sigmoid));
                    T.Store(output, ups + i, incoming * silu);
                }

                for (; i < width; i++)
                {
                    var gate = T.Get(input, gates + i);
                    var sigmoid = 1 / (1 + MathF.Exp(-gate));
                    var incoming = T.Get(g, at + i);
                    T.Set(output, gates + i, incoming * T.Get(input, ups + i) * (sigmoid + (gate * sigmoid * (1 - sigmoid))));
                    T.Set(output, ups + i, incoming * gate * sigmoid);
                }
            }
        });
    }
}
