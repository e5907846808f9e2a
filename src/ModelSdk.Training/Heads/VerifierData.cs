using ModelSdk.Runtime.Decoding;

namespace ModelSdk.Training.Heads;

/// <summary>One answer of the deployed generator.</summary>
/// <param name="Completion">Tokens after the generation prompt, without the token that ended them.</param>
/// <param name="Right">Whether the answer is right.</param>
/// <param name="Confidence">How sure the generator was of its tokens; read where <see cref="VerifierOptions.Confidence"/> asks for it.</param>
public sealed record VerifierSample(int[] Completion, bool Right, SequenceConfidence Confidence = default);

/// <summary>A question and answers to it.</summary>
/// <param name="Prompt">All tokens before the generation prompt.</param>
/// <param name="Samples">Answers; 16 in the paper.</param>
public sealed record VerifierQuestion(int[] Prompt, IReadOnlyList<VerifierSample> Samples);

/// <summary>What a verifier learns from (paper 5).</summary>
/// <param name="GenerationPrompt">Tokens that open the assistant's turn.</param>
/// <param name="VerificationPrompt">Tokens that are appended to a completion; the verifier reads the last one's hidden state.</param>
/// <param name="Questions">Questions with their answers; at least two.</param>
public sealed record VerifierData(IReadOnlyList<int> GenerationPrompt, IReadOnlyList<int> VerificationPrompt, IReadOnlyList<VerifierQuestion> Questions);
