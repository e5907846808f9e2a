using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>Between the layout of linears [B T, heads h] (or [N, heads h] without padding) and that of attention: queries [B KVH, G T, h], keys and values [B KVH, S, h]; turns heads by their positions on the way.</summary>
internal static unsafe class HeadKernel
{
    /// <summary>Cuts q/k/v into heads, turns queries and keys, and puts the prompts' keys and values before the row's own.</summary>
    /// <param name="geometry">Batch.</param>
    /// <param name="qkv">[B T, (H + 2 KVH) h].</param>
    /// <param name="pastKeys">[B, KVH, P, h] or null.</param>
    /// <param name="pastValues">[B, KVH, P, h] or null.</param>
    /// <param name="queries">[B KVH, G T, h], written.</param>
    /// <param name="keys">[B KVH, S, h], written.</param>
    /// <param name="values">[B KVH, S, h], written.</param>
    public static void Split<T>(AttentionGeometry geometry, Tensor qkv, Tensor? pastKeys, Tensor? pastValues, Tensor queries, Tensor keys, Tensor values)
        where T : IElement
    {
        int h = geometry.Config.HeadSize, kv = geometry.Config.KeyValueHeads, heads = geometry.Config.Heads, group = geometry.Group;
        int length = geometry.Length, past = geometry.Past, columns = geometry.Columns, width = (heads + (2 * kv)) * h;
        void* input = KernelSupport.Pointer(qkv), q = KernelSupport.Pointer(queries), k = KernelSupport.Pointer(keys), v = KernelSupport.Pointer(values);
        void* pk = past == 0 ? null : KernelSupport.Pointer(pastKeys!), pv = past == 0 ? null : KernelSupport.Pointer(pastValues!);
        Team.For(geometry.Rows * kv, 1, (from, to) =>
        {
            for (var unit = from; unit < to; unit++)
            {
                int row = unit / kv, head = unit % kv;
                var start = (nint)unit * columns * h;
                if (past > 0)
                {
                    Copy<T>(pk, (nint)unit * past * h, k, start, past * h);
                    Copy<T>(pv, (nint)unit * past * h, v, start, past * h);
                }

                var present = geometry.LengthOf(row);
                for (var t = 0; t < present; t++)
                {
                    var source = ((nint)geometry.Offset(row) + t) * width;
                    var target = start + ((past + t) * h);
                    var position = geometry.Position(row, t);
                    Turn<T>(input, source + ((heads + head) * h), k, target, geometry, position, 1);
                    Copy<T>(input, source + ((heads + kv + head) * h), v, target, h);
                    for (var g = 0; g < group; g++)
                    {
                        Turn<T>(input, source + (((head * group) + g) * h), q, (((nint)unit * group * length) + (g * length) + t) * h, geometry, position, 1);
                    }
                }

                Clear<T>(k, start + ((past + present) * h), (columns - past - present) * h);
                Clear<T>(v, start + ((past + present) * h), (columns - past - present) * h);
                for (var g = 0; g < group; g++)
                {
                    Clear<T>(q, (((nint)unit * group * length) + (g * length) + present) * h, (length - present) * h);
                }
            }
        });
    }

    /// <summary>The way back for gradients: turns backwards and joins. Prompts are constants, so that keys and values have gradients behind them only.</summary>
    /// <param name="geometry">Batch.</param>
    /// <param name="queries">[B KVH, G T, h].</param>
    /// <param name="keys">[B KVH, S - P, h].</param>
    /// <param name="values">[B KVH, S - P, h].</param>
    /// <param name="qkv">[B T, (H + 2 KVH) h], written.</param>
    public static void JoinGradients<T>(AttentionGeometry geometry, Tensor queries, Tensor keys, Tensor values, Tensor qkv)
        where T : IElement
    {
        int h = geometry.Config.HeadSize, kv = geometry.Config.KeyValueHeads, heads = geometry.Config.Heads, group = geometry.Group;
        int length = geometry.Length, past = geometry.Past, columns = geometry.Columns, width = (heads + (2 * kv)) * h;
        void* output = KernelSupport.Pointer(qkv), q = KernelSupport.Pointer(queries), k = KernelSupport.Pointer(keys), v = KernelSupport.Pointer(values);
        Team.For(geometry.Rows * kv, 1, (from, to) =>
        {
            for (var unit = from; unit < to; unit++)
            {
                int row = unit / kv, head = unit % kv;
                var present = geometry.LengthOf(row);
                for (var t = 0; t < present; t++)
                {
                    var target = ((nint)geometry.Offset(row) + t) * width;
                    var source = (((nint)unit * (columns - past)) + t) * h;
                    var position = geometry.Position(row, t);
                    Turn<T>(k, source, output, target + ((heads + head) * h), geometry, position, -1);
                    Copy<T>(v, source, output, target + ((heads + kv + head) * h), h);
                    for (var g = 0; g < group; g++)
                    {
                        Turn<T>(q, (((nint)unit * group * length) + (g * length) + t) * h, output, target + (((head * group) + g) * h), geometry, position, -1);
                    }
                }
            }
        });
    }

    /// <summary>[B KVH, G T, h] -> [B T, H h] (or back, with <paramref name="toHeads"/>).</summary>
    public static void Transpose<T>(AttentionGeometry geometry, Tensor from, Tensor to, bool toHeads)
        where T : IElement
    {
        int h = geometry.Config.HeadSize, kv = geometry.Config.KeyValueHeads, heads = geometry.Config.Heads, group = geometry.Group, length = geometry.Length;
        void* source = KernelSupport.Pointer(from), target = KernelSupport.Pointer(to);
        Team.For(geometry.Rows * kv, 1, (first, end) =>
        {
            for (var unit = first; unit < end; unit++)
            {
                int row = unit / kv, head = unit % kv, present = geometry.LengthOf(row);
                for (var g = 0; g < group; g++)
                {
                    var line = ((nint)unit * group * length) + (g * length);
                    for (var t = 0; t < present; t++)
                    {
                        var split = (line + t) * h;
                        var joined = (((nint)geometry.Offset(row) + t) * heads * h) + (((head * group) + g) * h);
                        Copy<T>(source, toHeads ? joined : split, target, toHeads ? split : joined, h);
                    }

                    if (toHeads)
                    {
                        Clear<T>(target, (line + present) * h, (length - present) * h); // padding takes and gives no gradient
                    }
                }
            }
        });
    }

    private static void Copy<T>(void* from, nint source, void* to, nint target, int count)
        where T : IElement
    {
        var size = typeof(T) == typeof(Fp32) ? 4 : 2;
        Buffer.MemoryCopy((byte*)from + (source * size), (byte*)to + (target * size), (long)count * size, (long)count * size);
    }

    private static void Clear<T>(void* values, nint at, int count)
        where T : IElement
    {
        var size = typeof(T) == typeof(Fp32) ? 4 : 2;
        NativeMemory.Clear((byte*)values + (at * size), (nuint)(count * size));
    }

    /// <summary>Turns one head by its position; direction -1 turns backwards.</summary>
    private static void Turn<T>(void* from, nint source, void* to, nint target, AttentionGeometry geometry, int position, float direction)
        where T : IElement
    {
        var half = geometry.Config.HeadSize / 2;
        fixed (float* cosines = &geometry.Cos[position * half], sines = &geometry.Sin[position * half])
        {
            var i = 0;
            for (; i <= half - 16; i += 16)
            {
                Vector512<float> c = Vector512.Load(cosines + i), s = Vector512.Load(sines + i) * direction;
                Vector512<float> a = T.Load(from, source + i), b = T.Load(from, source + half + i);
                T.Store(to, target + i, (a * c) - (b * s));
                T.Store(to, target + half + i, (b * c) + (a * s));
            }

            for (; i < half; i++)
            {
                float c = cosines[i], s = sines[i] * direction, a = T.Get(from, source + i), b = T.Get(from, source + half + i);
                T.Set(to, target + i, (a * c) - (b * s));
                T.Set(to, target + half + i, (b * c) + (a * s));
            }
        }
    }
}
