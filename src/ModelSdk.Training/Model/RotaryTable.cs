using ModelSdk.Runtime.Bundles;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>Rotary positions in Hugging Face's half-split form: pair (p, p + h/2) turns by position * theta^(-2p/h).</summary>
/// <remarks>out = x * cos + roll(x, h/2) * sin, where sin carries the sign of rotate_half, so that no halves are cut and joined.</remarks>
internal sealed class RotaryTable : IDisposable
{
    private readonly int _headSize;
    private readonly Tensor _cos;
    private readonly Tensor _sin;

    public RotaryTable(TransformerConfig config, int positions, ScalarType type, Device device)
    {
        _headSize = config.HeadSize;
        var half = _headSize / 2;
        var cos = new float[positions * _headSize];
        var sin = new float[positions * _headSize];
        for (var p = 0; p < half; p++)
        {
            var frequency = Math.Pow(config.RopeTheta, -2.0 * p / _headSize);
            for (var t = 0; t < positions; t++)
            {
                var (s, c) = Math.SinCos(t * frequency);
                cos[(t * _headSize) + p] = cos[(t * _headSize) + p + half] = (float)c;
                sin[(t * _headSize) + p] = (float)-s;
                sin[(t * _headSize) + p + half] = (float)s;
            }
        }

        // The kernels read one value a pair, unsigned.
        HalfCos = [.. Enumerable.Range(0, positions).SelectMany(t => cos.AsSpan(t * _headSize, half).ToArray())];
        HalfSin = [.. Enumerable.Range(0, positions).SelectMany(t => sin.AsSpan((t * _headSize) + half, half).ToArray())];
        using var scope = NewDisposeScope();
        _cos = tensor(cos, [positions, 1, _headSize]).to(type).to(device).DetachFromDisposeScope();
        _sin = tensor(sin, [positions, 1, _headSize]).to(type).to(device).DetachFromDisposeScope();
        Positions = positions;
    }

    /// <summary>Positions in the table.</summary>
    public int Positions { get; }

    /// <summary>[positions, h / 2].</summary>
    public float[] HalfCos { get; }

    /// <summary>[positions, h / 2].</summary>
    public float[] HalfSin { get; }

    /// <summary>Tables for positions start .. start + count - 1, each [count, 1, h].</summary>
    public (Tensor Cos, Tensor Sin) Range(long start, long count) => (_cos.narrow(0, start, count), _sin.narrow(0, start, count));

    /// <summary>Tables for positions of each row: [B, T, 1, h].</summary>
    /// <param name="positions">int64 [B, T].</param>
    public (Tensor Cos, Tensor Sin) At(Tensor positions)
    {
        long rows = positions.shape[0], length = positions.shape[1];
        var flat = positions.reshape(-1);
        return (_cos.index_select(0, flat).view(rows, length, 1, _headSize), _sin.index_select(0, flat).view(rows, length, 1, _headSize));
    }

    /// <summary>Turns heads by their positions.</summary>
    /// <param name="heads">[B, T, n, h].</param>
    /// <param name="table">From <see cref="Range"/> or <see cref="At"/>.</param>
    public Tensor Rotate(Tensor heads, (Tensor Cos, Tensor Sin) table) =>
        torch.addcmul(heads * table.Cos, heads.roll(_headSize / 2, -1), table.Sin, 1);

    public void Dispose()
    {
        _cos.Dispose();
        _sin.Dispose();
    }
}
