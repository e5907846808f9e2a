using System.Runtime.Intrinsics;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training.Quantization;

/// <summary>One layer's weights in the type of products. Every layer is read into the same memory, which is all that a base of any size takes.</summary>
internal sealed class CalibrationWeights : IDisposable
{
    /// <summary>Weights that a thread converts at a time; they stay in its cache.</summary>
    private const int ChunkElements = 1 << 16;

    private readonly TransformerConfig _config;
    private readonly WeightReader _read;
    private readonly ScalarType _type;

    public CalibrationWeights(TransformerConfig config, WeightReader read, ScalarType type)
    {
        (_config, _read, _type) = (config, read, type);
        int d = config.HiddenSize, f = config.IntermediateSize, q = config.QuerySize, inputs = q + (2 * config.KeyValueSize);
        AttentionNorm = Make(d);
        Qkv = Make(inputs, d);
        Bias = Make(inputs);
        Output = Make(d, q);
        FeedNorm = Make(d);
        GateUp = Make(2 * f, d);
        Down = Make(d, f);
    }

    /// <summary>[D].</summary>
    public Tensor AttentionNorm { get; }

    /// <summary>[(H + 2 KVH) h, D].</summary>
    public Tensor Qkv { get; }

    /// <summary>[(H + 2 KVH) h].</summary>
    public Tensor Bias { get; }

    /// <summary>[D, H h].</summary>
    public Tensor Output { get; }

    /// <summary>[D].</summary>
    public Tensor FeedNorm { get; }

    /// <summary>[2 F, D].</summary>
    public Tensor GateUp { get; }

    /// <summary>[D, F].</summary>
    public Tensor Down { get; }

    /// <summary>Reads a layer over the one that was there.</summary>
    /// <param name="layer">Layer, from 0.</param>
    public void Load(int layer)
    {
        string prefix = $"model.layers.{layer}.", attention = prefix + "self_attn.", feed = prefix + "mlp.";
        int d = _config.HiddenSize, f = _config.IntermediateSize, q = _config.QuerySize, kv = _config.KeyValueSize;
        Read(AttentionNorm, (prefix + "input_layernorm.weight", d));
        Read(Qkv, (attention + "q_proj.weight", q), (attention + "k_proj.weight", kv), (attention + "v_proj.weight", kv));
        Read(Bias, (attention + "q_proj.bias", q), (attention + "k_proj.bias", kv), (attention + "v_proj.bias", kv));
        Read(Output, (attention + "o_proj.weight", d));
        Read(FeedNorm, (prefix + "post_attention_layernorm.weight", d));
        Read(GateUp, (feed + "gate_proj.weight", f), (feed + "up_proj.weight", f));
        Read(Down, (feed + "down_proj.weight", d));
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        foreach (Tensor tensor in (Tensor[])[AttentionNorm, Qkv, Bias, Output, FeedNorm, GateUp, Down])
            tensor.Dispose();
    }

    private Tensor Make(params long[] shape) => torch.empty(shape, dtype: _type).DetachFromDisposeScope();

    /// <summary>Reads weights below each other in the type of products.</summary>
    private unsafe void Read(Tensor target, params (string Name, int Rows)[] parts)
    {
        int columns = target.shape.Length == 1 ? 1 : (int)target.shape[1];
        nint memory = (nint)KernelSupport.Pointer(target);
        long at = 0;
        foreach ((string name, int rows) in parts)
        {
            long count = (long)rows * columns, offset = at;
            Team.For((int)((count + ChunkElements - 1) / ChunkElements), 1, (from, to) =>
            {
                var buffer = new float[Math.Min(ChunkElements, count)];
                for (int chunk = from; chunk < to; chunk++)
                {
                    long start = (long)chunk * ChunkElements;
                    Span<float> values = buffer.AsSpan(0, (int)Math.Min(ChunkElements, count - start));
                    _read(name, values, start);
                    if (_type == ScalarType.BFloat16)
                        Round(values, (ushort*)memory + offset + start);
                    else
                        values.CopyTo(new Span<float>((float*)memory + offset + start, values.Length));
                }
            });
            at += count;
        }
    }

    /// <summary>To bf16, to the nearest even; finite values.</summary>
    private static unsafe void Round(ReadOnlySpan<float> values, ushort* target)
    {
        int i = 0;
        if (KernelSupport.IsAvailable)
        {
            for (; i <= values.Length - 16; i += 16)
                Bf16.Store(target, i, Vector512.Create(values[i..]));
        }

        for (; i < values.Length; i++)
            Bf16.Set(target, i, values[i]);
    }
}
